//! OOM kills: the kernel's log, the cgroups' counters and the engine tell of the same kills, so what they say of one place is one finding.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::bumped_bytes;
use crate::doctor::cgroups::CountedKills;
use crate::doctor::containers::Facts;
use crate::doctor::events::OomEvent;
use crate::doctor::finding::{Code, Finding, Severity, container};
use crate::doctor::kernel_log::LoggedKill;
use crate::size;
use crate::span;

const MIB: u64 = 1 << 20;
/// So many of those that are gone are named.
const NAMED: usize = 3;

/// What each source says; an empty list where it was read and has nothing, or could not be read (which is a finding of its own).
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub logged: &'a [LoggedKill],
    /// Now, in the log's time.
    pub uptime_s: Option<u64>,
    /// Older kills are no news. Counters have no times: they count since their cgroup was made.
    pub window_s: u64,
    pub counted: &'a [CountedKills],
    pub events: &'a [OomEvent],
    pub containers: &'a [Facts],
    /// Whether a cgroup is there no longer.
    pub is_gone: &'a dyn Fn(&str) -> bool,
}

/// Who was killed: sorts containers before the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// By its whole identifier.
    Container(String),
    Cgroup(String),
    /// Those that are there no longer, together: nothing can be done for one of them.
    Gone,
    /// The kernel did not say.
    Host,
}

#[derive(Debug, Default)]
struct Evidence {
    logged: u64,
    counted: u64,
    events: u64,
    state: bool,
    /// The last process, and how long ago.
    last: Option<(String, Option<u64>)>,
    /// No limit was hit: the host had no memory left.
    host_was_out: bool,
    /// The limit of somebody above was hit.
    limit_above: Option<String>,
    /// Which cgroups are gone.
    gone: BTreeSet<String>,
}

impl Evidence {
    /// Whether a source has it that was asked for recent kills only.
    fn has_time(&self) -> bool {
        self.logged > 0 || self.events > 0 || self.state
    }
}

/// One finding for each place in which the kernel killed.
pub fn examine(seen: &Seen<'_>) -> Vec<Finding> {
    let mut places: BTreeMap<Place, Evidence> = BTreeMap::new();
    for kill in seen.logged {
        log(&mut places, kill, seen);
    }
    for kills in seen.counted {
        let evidence = places.entry(place(&kills.cgroup, seen)).or_default();
        evidence.counted += kills.kills_total;
    }
    for event in seen.events {
        let place = Place::Container(event.container_id.clone());
        places.entry(place).or_default().events += 1;
    }
    for facts in seen.containers {
        let is_recent = facts.ended_ago_s.is_none_or(|ago_s| ago_s <= seen.window_s);
        if facts.was_oom_killed && is_recent {
            let place = Place::Container(facts.id.clone());
            places.entry(place).or_default().state = true;
        }
    }
    let found = places.iter();
    found
        .map(|(place, evidence)| finding(place, evidence, seen))
        .collect()
}

fn log(places: &mut BTreeMap<Place, Evidence>, kill: &LoggedKill, seen: &Seen<'_>) {
    let age_s = match (seen.uptime_s, kill.at_uptime_s) {
        (Some(now_s), Some(at_s)) => Some(now_s.saturating_sub(at_s)),
        _ => None,
    };
    if age_s.is_some_and(|age_s| age_s > seen.window_s) {
        return;
    }
    let place = kill
        .cgroup
        .as_deref()
        .map_or(Place::Host, |cgroup| place(cgroup, seen));
    let is_gone = place == Place::Gone;
    let evidence = places.entry(place).or_default();
    evidence.logged += 1;
    // The log is in the order of time.
    evidence.last = Some((kill.process.clone(), age_s));
    if is_gone {
        evidence.gone.extend(kill.cgroup.clone());
        return;
    }
    evidence.host_was_out = kill.cgroup.is_some() && kill.limit_of.is_none();
    let limit = kill.limit_of.clone();
    evidence.limit_above = limit.filter(|limit| Some(limit) != kill.cgroup.as_ref());
}

/// A container's cgroup has its identifier in its path, whatever driver and parent there are. The cgroup of one that ended is gone,
/// but the engine may know it still.
fn place(cgroup: &str, seen: &Seen<'_>) -> Place {
    let id = cgroup.split('/').find_map(|name| {
        let name = name.strip_suffix(".scope").unwrap_or(name);
        let id = name.rsplit('-').next()?;
        let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then_some(id)
    });
    let is_known = |id: &str| {
        seen.containers.iter().any(|facts| facts.id == id)
            || seen.events.iter().any(|event| event.container_id == id)
    };
    match id {
        Some(id) if is_known(id) => Place::Container(id.to_owned()),
        _ if (seen.is_gone)(cgroup) => Place::Gone,
        Some(id) => Place::Container(id.to_owned()),
        None => Place::Cgroup(cgroup.to_owned()),
    }
}

fn finding(place: &Place, evidence: &Evidence, seen: &Seen<'_>) -> Finding {
    let facts = match place {
        Place::Container(id) => seen.containers.iter().find(|facts| facts.id == *id),
        _ => None,
    };
    // Sources overlap, so the largest says how many there were at least.
    let count = [
        evidence.logged,
        evidence.counted,
        evidence.events,
        u64::from(evidence.state),
    ];
    let count = count.into_iter().max().unwrap_or(0);
    // A counter alone may tell of a kill that is long over, for as long as its cgroup lives.
    let severity = match place {
        Place::Gone => Severity::Warning,
        _ if !evidence.has_time() => Severity::Warning,
        _ => Severity::Error,
    };
    let mut found = Finding::new(
        severity,
        Code::OomKill,
        name(place, facts, seen.events),
        what(count, evidence),
        todo(place, facts, evidence),
    );
    found.count = Some(count);
    found
}

fn name(place: &Place, facts: Option<&Facts>, events: &[OomEvent]) -> String {
    match place {
        Place::Container(id) => {
            let event = || events.iter().find(|event| event.container_id == *id);
            let name = facts.map(|facts| facts.name.as_str());
            let name = name.or_else(|| event().and_then(|event| event.container_name.as_deref()));
            container(name.unwrap_or(&id[..id.len().min(12)]))
        }
        Place::Cgroup(path) => format!("cgroup {path}"),
        Place::Gone => "cgroups that are gone".to_owned(),
        Place::Host => "host".to_owned(),
    }
}

fn what(count: u64, evidence: &Evidence) -> String {
    let mut what = match count {
        1 => "the kernel killed a process for memory".to_owned(),
        count => format!("the kernel killed {count} processes for memory"),
    };
    if let Some((process, age_s)) = &evidence.last {
        what += &format!(", last {process}");
        if let Some(age_s) = age_s {
            what += &format!(" {} ago", span::human(*age_s));
        }
    }
    if !evidence.has_time() {
        what += ", nobody knows when: a counter has no times";
    }
    if evidence.host_was_out {
        what += "; the host itself was out of memory";
    }
    if let Some(above) = &evidence.limit_above {
        what += &format!("; the limit that was hit is that of {above}");
    }
    if !evidence.gone.is_empty() {
        let named: Vec<&str> = evidence
            .gone
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        what += &format!("; in {}", named.join(", "));
        if evidence.gone.len() > NAMED {
            what += &format!(" and {} more", evidence.gone.len() - NAMED);
        }
    }
    let sources = [
        (evidence.logged, "kernel log"),
        (evidence.counted, "cgroup counter"),
        (evidence.events, "engine's events"),
        (u64::from(evidence.state), "container's state"),
    ];
    let sources: Vec<&str> = sources
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, name)| *name)
        .collect();
    format!("{what} (seen in: {})", sources.join(", "))
}

fn todo(place: &Place, facts: Option<&Facts>, evidence: &Evidence) -> String {
    if evidence.host_was_out || *place == Place::Host {
        return "lower the sum of the limits (plimsoll profile check), or add memory or swap"
            .to_owned();
    }
    if *place == Place::Gone {
        return "sudo dmesg | grep -i oom".to_owned();
    }
    let Some((facts, limit_bytes)) = facts.and_then(|facts| Some((facts, facts.limit_bytes?)))
    else {
        return "raise its limit, or find what grew in it".to_owned();
    };
    let bumped_bytes = bumped_bytes(limit_bytes);
    let whole = bumped_bytes.checked_next_multiple_of(MIB);
    let to = size::docker(whole.unwrap_or(bumped_bytes));
    let name = &facts.name;
    match facts.is_running {
        true => format!("plimsoll resize {name} {to}"),
        false => {
            format!("docker update --memory {to} --memory-swap {to} {name}\ndocker start {name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::containers::example;

    const NOTHING: Seen<'_> = Seen {
        logged: &[],
        uptime_s: None,
        window_s: 0,
        counted: &[],
        events: &[],
        containers: &[],
        is_gone: &|_| false,
    };

    fn logged(cgroup: Option<&str>, limit_of: Option<&str>, at_uptime_s: u64) -> LoggedKill {
        LoggedKill {
            at_uptime_s: Some(at_uptime_s),
            pid: 1,
            process: "load".to_owned(),
            cgroup: cgroup.map(str::to_owned),
            limit_of: limit_of.map(str::to_owned),
        }
    }

    #[test]
    fn what_all_sources_say_of_one_container_is_one_finding() {
        let mut facts = example("crypto-fusion");
        facts.was_oom_killed = true;
        let path = format!("/system.slice/docker-{}.scope", facts.id);
        let event = OomEvent {
            container_id: facts.id.clone(),
            container_name: None,
        };
        let counted = CountedKills {
            cgroup: path.clone(),
            kills_total: 2,
        };
        let found = examine(&Seen {
            logged: &[logged(Some(&path), Some(&path), 100)],
            uptime_s: Some(160),
            window_s: 3600,
            counted: &[counted],
            events: &[event],
            containers: &[facts],
            // An ended one's cgroup is, and its name is known all the same.
            is_gone: &|_| true,
        });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "container crypto-fusion");
        assert_eq!(found[0].count, Some(2));
        assert_eq!(found[0].todo, "plimsoll resize crypto-fusion 200m");
        for part in [
            "load 1 min ago",
            "kernel log",
            "cgroup counter",
            "events",
            "state",
        ] {
            assert!(found[0].what.contains(part), "{part}: {}", found[0].what);
        }
    }

    #[test]
    fn old_kills_are_no_news() {
        let mut ended = example("a");
        (ended.is_running, ended.was_oom_killed) = (false, true);
        for (window_s, ago_s, findings) in [(60, 60, 2), (59, 60, 0)] {
            ended.ended_ago_s = Some(ago_s);
            let found = examine(&Seen {
                logged: &[logged(Some("/x"), Some("/x"), 100)],
                uptime_s: Some(100 + ago_s),
                window_s,
                containers: &[ended.clone()],
                ..NOTHING
            });
            assert_eq!(found.len(), findings, "{window_s}");
        }
    }

    #[test]
    fn a_counter_alone_is_a_warning_as_nobody_knows_when() {
        let facts = example("a");
        let path = format!("/docker/{}", facts.id);
        let counted = [CountedKills {
            cgroup: path.clone(),
            kills_total: 3,
        }];
        // The log has the kill, too long ago or recently enough.
        for (window_s, severity) in [(60, Severity::Warning), (3600, Severity::Error)] {
            let found = examine(&Seen {
                logged: &[logged(Some(&path), Some(&path), 100)],
                uptime_s: Some(1100),
                window_s,
                counted: &counted,
                containers: std::slice::from_ref(&facts),
                ..NOTHING
            });
            assert_eq!((found.len(), found[0].severity), (1, severity));
            assert_eq!(found[0].count, Some(3));
            let is_said = found[0].what.contains("nobody knows when");
            assert_eq!(is_said, severity == Severity::Warning, "{}", found[0].what);
        }
    }

    #[test]
    fn each_place_has_its_name_and_its_advice() {
        let id = example("x").id;
        let nested = format!("/box/{id}/inner");
        let table = [
            (Some("/a"), Some("/a"), "cgroup /a", "raise its limit"),
            (Some("/a/b"), Some("/a"), "cgroup /a/b", "raise its limit"),
            (Some("/a"), None, "cgroup /a", "lower the sum"),
            (None, None, "host", "lower the sum"),
            (
                Some(nested.as_str()),
                Some("/box"),
                "container 0000",
                "raise its limit",
            ),
        ];
        for (cgroup, limit_of, place, todo) in table {
            let found = examine(&Seen {
                logged: &[logged(cgroup, limit_of, 5)],
                ..NOTHING
            });
            assert!(found[0].place.starts_with(place), "{}", found[0].place);
            assert!(found[0].todo.starts_with(todo), "{}", found[0].todo);
            let names_above = found[0].what.contains("that of");
            assert_eq!(
                names_above,
                limit_of.is_some() && limit_of != cgroup,
                "{}",
                found[0].what
            );
        }
    }

    #[test]
    fn cgroups_that_are_gone_are_one_finding() {
        let gone = ["/a", "/b", "/c", "/d", "/a"];
        let mut logs: Vec<_> = gone.map(|path| logged(Some(path), Some(path), 5)).into();
        logs.push(logged(Some("/there"), Some("/there"), 5));
        let found = examine(&Seen {
            logged: &logs,
            is_gone: &|path| path != "/there",
            ..NOTHING
        });
        let places: Vec<_> = found.iter().map(|found| found.place.as_str()).collect();
        assert_eq!(places, ["cgroup /there", "cgroups that are gone"]);
        assert_eq!(
            (found[1].count, found[1].severity),
            (Some(5), Severity::Warning)
        );
        assert!(
            found[1].what.contains("in /a, /b, /c and 1 more"),
            "{}",
            found[1].what
        );
    }

    #[test]
    fn one_that_ended_is_started_again_with_more() {
        let mut facts = example("a");
        (facts.is_running, facts.was_oom_killed) = (false, true);
        facts.limit_bytes = Some(1 << 30);
        let found = examine(&Seen {
            containers: &[facts],
            ..NOTHING
        });
        assert_eq!(
            found[0].todo,
            "docker update --memory 1229m --memory-swap 1229m a\ndocker start a"
        );
    }
}
