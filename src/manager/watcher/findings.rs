//! What the watcher has to say about the set-up.

use std::time::{Duration, Instant};

use super::{Seat, State, Watcher};
use crate::explain::{Finding, Severity};
use crate::reading::notice::{NoticeProblem, NoticeSource};

/// For so long after its last word a source counts as one that tells all the time.
const CONSTANT_FOR: Duration = Duration::from_secs(10);

impl Watcher {
    pub(in crate::manager) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for seat in &self.desk.lock().seats {
            if let State::Failed(problem) = &seat.state {
                findings.push(unavailable(problem));
            }
            findings.extend(constant(seat));
        }
        findings.extend(kills(self.notices.kernel_kills_total()));
        findings
    }
}

fn unavailable(problem: &NoticeProblem) -> Finding {
    let (code, severity, advice) = match problem.source {
        NoticeSource::MemoryEvents => (
            "memory-events-unavailable",
            Severity::Info,
            "limits that are touched and processes that are killed are not told; readings are taken as often as ever",
        ),
        NoticeSource::StallTrigger => (
            "psi-unavailable",
            Severity::Info,
            "the kernel does not tell that tasks wait for memory; where its counter can be read it is, every 2 s. To be told, \
             let the service write to memory.pressure of its cgroup, or have systemd set MemoryPressureWatch=",
        ),
        NoticeSource::ChargeLine => (
            "v1-threshold-unavailable",
            Severity::Info,
            "the kernel does not tell when the charge passes the line; readings are taken as often as ever",
        ),
        NoticeSource::PressureWatch if problem.is_on_purpose() => (
            "memory-pressure-watch",
            Severity::Info,
            "so the manager listens to no report of its own either; unset MEMORY_PRESSURE_WATCH if that is not meant",
        ),
        NoticeSource::PressureWatch => (
            "memory-pressure-watch",
            Severity::Warning,
            "until it can be listened to nobody tells that tasks wait for memory; correct MEMORY_PRESSURE_WATCH and \
             MEMORY_PRESSURE_WRITE, or unset both",
        ),
    };
    Finding::new(code, severity, problem.to_string(), advice)
}

fn constant(seat: &Seat) -> Option<Finding> {
    let since = seat.constant?;
    (Instant::now().saturating_duration_since(since) <= CONSTANT_FOR).then(|| {
        Finding::new(
            "notice-constant",
            Severity::Info,
            format!("{} tells all the time", seat.wanted.name()),
            "it is listened to once a second; if it is a file that others write to, let them write less often",
        )
    })
}

fn kills(kernel_kills_total: Option<u64>) -> Option<Finding> {
    let killed = kernel_kills_total.filter(|killed| *killed > 0)?;
    Some(Finding::new(
        "kernel-killed",
        Severity::Warning,
        format!("the kernel has killed {killed} processes of this cgroup for want of memory"),
        "raise the cgroup's limit, or give its processes less to do at a time",
    ))
}
