//! [`Notices`]: what the kernel, and systemd, have told so far; and [`NoticeStats`], the same for people.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::sys::clock;

/// What the sources have told that tell earlier than the next tick. Of this process: a forked child counts anew.
///
/// ```
/// let notices = plimsoll::get_memory_manager().stats().notices;
/// println!("{:?} tell, {} stalls so far", notices.sources, notices.stalls_total);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NoticeStats {
    /// What tells now: `memory.events` and `memory.pressure` of a cgroup of version 2, `charge line` of one of version 1, and
    /// `MEMORY_PRESSURE_WATCH`; `memory.pressure (read)` where its counter is read with every tick instead. Why one does not is a finding.
    pub sources: Vec<&'static str>,
    /// How often a limit of the cgroup was touched (`memory.events`).
    pub limit_events_total: u64,
    /// How often the charge passed its line from below (version 1).
    pub charge_line_passed_total: u64,
    /// How often tasks were reported to wait for memory.
    pub stalls_total: u64,
    /// Reports of waiting that the kernel's own counter did not bear out.
    pub false_alarms_total: u64,
    /// Processes of the cgroup that the kernel has killed since the manager listens; `None` while nobody tells.
    pub kernel_kills_total: Option<u64>,
}

/// Written by whoever listens, read by any.
///
/// Relaxed is enough: each number stands alone, and the bell that is rung after it orders it for the worker.
#[derive(Default)]
pub(super) struct Notices {
    limit_events_total: AtomicU64,
    charge_line_passed_total: AtomicU64,
    stalls_total: AtomicU64,
    false_alarms_total: AtomicU64,
    kernel_kills_total: AtomicU64,
    kills_are_told: AtomicBool,
    /// When the last true stall was told, in milliseconds of the monotonic clock; 0 for never.
    stalled_at_ms: AtomicU64,
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing tells"))]
impl Notices {
    /// Whether tasks were reported to wait for memory in the last `time`.
    pub(super) fn stalled_within(&self, time: Duration) -> bool {
        self.stalled_within_at(time, now_ms())
    }

    fn stalled_within_at(&self, time: Duration, now_ms: u64) -> bool {
        match self.stalled_at_ms.load(Ordering::Relaxed) {
            0 => false,
            at_ms => u128::from(now_ms.saturating_sub(at_ms)) <= time.as_millis(),
        }
    }

    pub(super) fn stalled(&self) {
        self.stalls_total.fetch_add(1, Ordering::Relaxed);
        self.stalled_at_ms.store(now_ms().max(1), Ordering::Relaxed);
    }

    pub(super) fn was_false_alarm(&self) {
        self.false_alarms_total.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn limit_was_touched(&self) {
        self.limit_events_total.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn charge_line_was_passed(&self) {
        self.charge_line_passed_total
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn kernel_killed(&self, processes: u64) {
        self.kernel_kills_total
            .fetch_add(processes, Ordering::Relaxed);
    }

    /// From now on kills would be told.
    pub(super) fn kills_are_told(&self) {
        self.kills_are_told.store(true, Ordering::Relaxed);
    }

    pub(super) fn kernel_kills_total(&self) -> Option<u64> {
        self.kills_are_told
            .load(Ordering::Relaxed)
            .then(|| self.kernel_kills_total.load(Ordering::Relaxed))
    }

    pub(super) fn stats(&self, sources: Vec<&'static str>) -> NoticeStats {
        NoticeStats {
            sources,
            limit_events_total: self.limit_events_total.load(Ordering::Relaxed),
            charge_line_passed_total: self.charge_line_passed_total.load(Ordering::Relaxed),
            stalls_total: self.stalls_total.load(Ordering::Relaxed),
            false_alarms_total: self.false_alarms_total.load(Ordering::Relaxed),
            kernel_kills_total: self.kernel_kills_total(),
        }
    }
}

fn now_ms() -> u64 {
    clock::monotonic_ns() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_over_when_its_time_is_up() {
        let notices = Notices::default();
        let within = |ms, now_ms| notices.stalled_within_at(Duration::from_millis(ms), now_ms);
        assert!(!within(u64::MAX, 1), "never stalled");
        notices.stalled();
        let at_ms = notices.stalled_at_ms.load(Ordering::Relaxed);
        assert!(within(0, at_ms) && within(100, at_ms + 100));
        assert!(!within(100, at_ms + 101));
        assert!(within(0, at_ms - 1), "two clocks read at once");
        assert!(notices.stalled_within(Duration::MAX));
    }

    #[test]
    fn kills_are_unknown_until_somebody_tells() {
        let notices = Notices::default();
        assert_eq!(notices.stats(Vec::new()).kernel_kills_total, None);
        notices.kills_are_told();
        assert_eq!(notices.stats(Vec::new()).kernel_kills_total, Some(0));
        notices.kernel_killed(2);
        assert_eq!(notices.stats(Vec::new()).kernel_kills_total, Some(2));
    }
}
