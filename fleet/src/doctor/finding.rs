//! [`Finding`]: one thing that is wrong, and what to do about it.

use serde::Serialize;

/// How bad it is. In the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It has hurt already, or is about to.
    Error,
    /// It will hurt one day.
    Warning,
    /// That part could not be read, so nobody knows.
    Unknown,
    /// It costs, and does not hurt.
    Note,
}

impl Severity {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Unknown => "unknown",
            Severity::Note => "note",
        }
    }
}

/// What kind of thing it is: a name for scripts, which stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The kernel killed a process for memory.
    OomKill,
    /// More than 80 % of a limit are used.
    NearlyFull,
    /// A container starts again and again.
    Restarting,
    /// A container may take all of the host's memory.
    NoLimit,
    /// A container may swap beyond its limit.
    NoSwapLimit,
    /// The host has no swap.
    NoSwap,
    /// The host's swap is nearly used up.
    SwapFull,
    /// No container uses these.
    UnusedImages,
    /// No container uses these.
    UnusedVolumes,
    /// A part could not be read.
    Unreadable,
}

/// One thing that is wrong. Its field names are those of the JSON, and stay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub code: Code,
    /// "container crypto-fusion", "host", "cgroup /a/b", "engine".
    #[serde(rename = "where")]
    pub place: String,
    /// In words, with figures and units.
    pub what: String,
    /// A command where there is one; a line each where there are several.
    pub todo: String,
    /// Kills or restarts, or how many are unused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Of the limit, or of the swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Used, or held by what is unused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Finding {
    /// Without figures for scripts; those are set by name.
    pub fn new(
        severity: Severity,
        code: Code,
        place: impl Into<String>,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) -> Finding {
        Finding {
            severity,
            code,
            place: place.into(),
            what: what.into(),
            todo: todo.into(),
            count: None,
            percent: None,
            bytes: None,
        }
    }
}

/// How the table and the findings call a container.
pub fn container(name: &str) -> String {
    format!("container {name}")
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    KernelLog,
    Cgroups,
    Swap,
    Engine,
    EngineEvents,
    EngineDisk,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::KernelLog => "kernel log",
            Part::Cgroups => "cgroups",
            Part::Swap => "swap",
            Part::Engine => "engine",
            Part::EngineEvents => "engine's events",
            Part::EngineDisk => "engine's images and volumes",
        }
    }

    /// Whether the doctor has nothing to say at all without it.
    fn is_own_source(self) -> bool {
        !matches!(self, Part::EngineEvents | Part::EngineDisk)
    }
}

/// Why a part could not be read, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub why: String,
    pub todo: String,
}

impl Unreadable {
    pub fn new(why: impl Into<String>, todo: impl Into<String>) -> Unreadable {
        Unreadable {
            why: why.into(),
            todo: todo.into(),
        }
    }
}

/// All that was found, the worst first, and what was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    pub read: Vec<Part>,
    pub unread: Vec<Part>,
}

impl Report {
    /// What `part` says, or that it says nothing: that is a finding of its own, never "none".
    pub fn part<T>(&mut self, part: Part, seen: Result<T, Unreadable>) -> Option<T> {
        match seen {
            Ok(facts) => {
                self.read.push(part);
                Some(facts)
            }
            Err(unreadable) => {
                self.unread.push(part);
                self.findings.push(Finding::new(
                    Severity::Unknown,
                    Code::Unreadable,
                    part.name(),
                    unreadable.why,
                    unreadable.todo,
                ));
                None
            }
        }
    }

    /// That these parts were not looked at, as they are of this machine and the engine at `remote` is of another: nobody knows of them.
    pub fn elsewhere(&mut self, parts: &[Part], remote: &str) {
        self.unread.extend(parts);
        let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
        self.findings.push(Finding::new(
            Severity::Unknown,
            Code::Unreadable,
            "engine's host",
            format!(
                "{}: not looked at, as the engine at {remote} is not of this machine",
                names.join(", ")
            ),
            "run it there as well: plimsoll doctor",
        ));
    }

    /// Whether nothing could be read.
    pub fn is_blind(&self) -> bool {
        !self.read.iter().any(|part| part.is_own_source())
    }

    /// In the order of the table: the worst first, and within that by kind and place.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            (a.severity, a.code, &a.place, &a.what).cmp(&(b.severity, b.code, &b.place, &b.what))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_can_not_be_read_is_a_finding_and_hides_nothing() {
        let mut report = Report::default();
        assert!(report.is_blind());
        let none = Err::<u8, _>(Unreadable::new("no socket", "start it"));
        assert_eq!(report.part(Part::Engine, none), None);
        assert!(report.is_blind());
        assert_eq!(report.part(Part::Swap, Ok(7)), Some(7));
        assert!(!report.is_blind());
        assert_eq!(report.findings[0].severity, Severity::Unknown);
        assert_eq!(report.findings[0].todo, "start it");
        assert_eq!(
            (report.read, report.unread),
            (vec![Part::Swap], vec![Part::Engine])
        );
    }

    #[test]
    fn the_names_for_scripts_stay() {
        let mut finding = Finding::new(Severity::Error, Code::OomKill, "host", "a", "b");
        finding.count = Some(2);
        let text = serde_json::to_string(&finding).unwrap();
        assert_eq!(
            text,
            r#"{"severity":"error","code":"oom-kill","where":"host","what":"a","todo":"b","count":2}"#
        );
        let codes = [
            (Code::NearlyFull, "nearly-full"),
            (Code::Restarting, "restarting"),
            (Code::NoLimit, "no-limit"),
            (Code::NoSwapLimit, "no-swap-limit"),
            (Code::NoSwap, "no-swap"),
            (Code::SwapFull, "swap-full"),
            (Code::UnusedImages, "unused-images"),
            (Code::UnusedVolumes, "unused-volumes"),
            (Code::Unreadable, "unreadable"),
        ];
        for (code, name) in codes {
            assert_eq!(serde_json::to_value(code).unwrap(), name);
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let mut report = Report::default();
        for severity in [
            Severity::Note,
            Severity::Unknown,
            Severity::Error,
            Severity::Warning,
        ] {
            let found = Finding::new(severity, Code::NoSwap, "host", "", "");
            report.findings.push(found);
        }
        report.sort();
        let order: Vec<_> = report.findings.iter().map(|f| f.severity.name()).collect();
        assert_eq!(order, ["error", "warning", "unknown", "note"]);
    }
}
