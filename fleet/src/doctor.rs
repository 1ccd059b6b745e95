//! What is wrong with this fleet, and what to do about it: the guide's troubleshooting.
//!
//! Each check is a file: facts in, findings out, and a reader of the facts beside it. What can't be read is a finding of its own.

mod address;
mod cgroups;
mod containers;
mod disk;
mod engine;
mod events;
mod finding;
mod fullness;
mod kernel_log;
mod kills;
mod limits;
mod report;
mod restarts;
mod swap;
mod unused;

use std::path::PathBuf;

pub use finding::{Code, Finding, Part, Report, Severity};
pub use report::text;

use address::Address;
use cgroups::Walk;
use containers::Facts;
use events::OomEvent;
use finding::Unreadable;
use kernel_log::LoggedKill;
use unused::Unused;

use crate::engine::Docker;

/// Where facts come from.
#[derive(Clone, Debug)]
pub struct Places {
    /// The kernel's log.
    pub kmsg: PathBuf,
    /// The command that knows it where the device is missing.
    pub dmesg: PathBuf,
    /// Where `meminfo`, `swaps` and `uptime` are.
    pub proc: PathBuf,
    /// Where cgroups are mounted.
    pub cgroups: PathBuf,
    /// The engine's address; `None`: `DOCKER_HOST`, else its usual socket.
    pub host: Option<String>,
    /// Kills that are older are no news.
    pub window_s: u64,
}

impl Default for Places {
    /// This machine, and the last day.
    fn default() -> Places {
        Places {
            kmsg: PathBuf::from("/dev/kmsg"),
            dmesg: PathBuf::from("dmesg"),
            proc: PathBuf::from("/proc"),
            cgroups: PathBuf::from("/sys/fs/cgroup"),
            host: None,
            window_s: 86_400,
        }
    }
}

/// What the engine says.
#[derive(Default)]
struct Engine {
    containers: Vec<Facts>,
    events: Vec<OomEvent>,
    unused: Unused,
}

/// What this machine says of itself.
#[derive(Default)]
struct Machine {
    logged: Vec<LoggedKill>,
    uptime_s: Option<u64>,
    walk: Walk,
}

/// Looks at everything once; changes nothing.
pub async fn examine(places: &Places) -> Report {
    let mut report = Report::default();
    let environment = std::env::var("DOCKER_HOST").ok();
    let environment = environment.as_deref().filter(|host| !host.is_empty());
    let address = Address::new(places.host.as_deref(), environment);
    let machine = match address.remote() {
        None => read_machine(&mut report, places).await,
        // Its kills would be taken for those of containers that are elsewhere.
        Some(remote) => {
            report.elsewhere(&[Part::KernelLog, Part::Cgroups, Part::Swap], remote);
            Machine::default()
        }
    };
    let engine = read_engine(&mut report, places, &address).await;
    report.findings.extend(kills::examine(&kills::Seen {
        logged: &machine.logged,
        uptime_s: machine.uptime_s,
        window_s: places.window_s,
        counted: &machine.walk.kills,
        events: &engine.events,
        containers: &engine.containers,
        is_gone: &|cgroup| machine.walk.is_gone(cgroup),
    }));
    report
        .findings
        .extend(fullness::examine(&engine.containers));
    report
        .findings
        .extend(restarts::examine(&engine.containers));
    report.findings.extend(limits::examine(&engine.containers));
    report.findings.extend(unused::examine(&engine.unused));
    for finding in &mut report.findings {
        finding.todo = address.commands(&finding.todo);
    }
    report.sort();
    report
}

async fn read_machine(report: &mut Report, places: &Places) -> Machine {
    let log = report.part(
        Part::KernelLog,
        kernel_log::read(&places.kmsg, &places.dmesg).await,
    );
    let walk = report.part(Part::Cgroups, cgroups::walk(&places.cgroups));
    let walk = walk.unwrap_or_default();
    if walk.is_cut {
        let why = "more cgroups, or deeper ones, than were looked at";
        let rest = Unreadable::new(why, "grep -r 'oom_kill [1-9]' /sys/fs/cgroup");
        report.part::<()>(Part::Cgroups, Err(rest));
    }
    let swap = report.part(Part::Swap, swap::read(&places.proc));
    report
        .findings
        .extend(swap.as_ref().and_then(swap::examine));
    let uptime = std::fs::read_to_string(places.proc.join("uptime")).ok();
    Machine {
        logged: log.map_or_else(Vec::new, |text| kernel_log::parse(&text)),
        uptime_s: uptime.as_deref().and_then(kernel_log::uptime_s),
        walk,
    }
}

/// Without an engine there is one finding, and with one each of its answers may fail by itself.
async fn read_engine(report: &mut Report, places: &Places, address: &Address) -> Engine {
    let mut seen = Engine::default();
    let listed = async {
        let engine = Docker::connect(places.host.as_deref())?;
        let containers = containers::read(&engine).await?;
        Ok((engine, containers))
    };
    let unreadable = |error| engine::unreadable(&error, address.remote());
    let listed = listed.await.map_err(unreadable);
    let Some((engine, containers)) = report.part(Part::Engine, listed) else {
        return seen;
    };
    let events = events::read(&engine, places.window_s).await;
    let events = report.part(Part::EngineEvents, events.map_err(unreadable));
    let unused = unused::read(&engine, &containers).await;
    let unused = report.part(Part::EngineDisk, unused.map_err(unreadable));
    seen.containers = containers;
    seen.events = events.unwrap_or_default();
    seen.unused = unused.unwrap_or_default();
    seen
}

#[cfg(test)]
mod tests;
