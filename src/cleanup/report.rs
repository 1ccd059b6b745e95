//! [`CleanupReport`]: what a cleanup did, and what it really returned.

use std::fmt;
use std::time::Duration;

use crate::bytes::ByteSize;
use crate::cleanup::CleanupReason;
use crate::usage::Usage;

/// What a cleanup did: measured before and after, with each hook's claim beside what was measured.
///
/// ```
/// let report = plimsoll::get_memory_manager().force_cleanup();
/// println!("{report}");
/// assert_eq!(report.reason, Some(plimsoll::CleanupReason::Forced));
/// // A forced one has no target: all that can be spared.
/// assert_eq!(report.target_bytes, None);
/// println!("{} us of a processor", report.cpu_us);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CleanupReport {
    /// How it ended.
    pub outcome: CleanupOutcome,
    /// Why it ran; `None` when it was not needed.
    pub reason: Option<CleanupReason>,
    /// Usage before the first hook.
    pub before: Usage,
    /// Usage after the purge.
    pub after: Usage,
    /// What it was to give back; `None` when that was all there is (a forced one, or no limit is known), or it has not begun.
    pub target_bytes: Option<u64>,
    /// One entry per registered hook that was due, in the order in which they ran.
    pub hooks: Vec<HookReport>,
    /// Whether jemalloc gave unused pages back: all of them, or under pressure and at work as many as end the refusals. `false` where it
    /// is not the program's allocator, and where pages were left for the next allocations (at work below 79.5 %, for a High line of 80).
    pub purged: bool,
    /// Whether the C library's heap gave unused pages back (glibc's `malloc_trim`); it is asked only where jemalloc is not the
    /// program's allocator. Harmless beside a third allocator, and then about what C code has freed.
    pub trimmed: bool,
    /// Bytes freed but kept in other threads' caches, where a purge does not reach; `None` without jemalloc.
    pub thread_cache_bytes: Option<u64>,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
    /// Processor time of the library's own thread, in microseconds: hooks, purge and measurements, and of a hook that was left behind
    /// what it took until then. Other threads that a hook has work for it are not in it. Elapsed time where no clock tells (all but
    /// Linux).
    pub cpu_us: u64,
}

impl CleanupReport {
    /// What the kernel got back: RSS before minus after. Negative when the process grew meanwhile.
    pub fn returned_bytes(&self) -> i64 {
        self.before.rss_bytes as i64 - self.after.rss_bytes as i64
    }

    /// What it gave back, for judging whether it was worth its cost: what hooks were measured to free or what RSS fell, whichever is
    /// more, as the process fills up again meanwhile. Where hooks were asked, at `asked_at`, what was unused by then is not their yield (nor is what
    /// they freed on other threads where as much was unused and not in memory: nobody can tell).
    pub(crate) fn yielded_bytes(&self, asked_at: Option<&Usage>) -> u64 {
        let in_use_bytes = |usage: &Usage| usage.rss_bytes.saturating_sub(usage.unused_bytes);
        let (from_bytes, to_bytes) = match asked_at {
            Some(usage) => (in_use_bytes(usage), in_use_bytes(&self.after)),
            None => (self.before.rss_bytes, self.after.rss_bytes),
        };
        let measured: i64 = self
            .hooks
            .iter()
            .filter_map(HookReport::net_freed_bytes)
            .sum();
        let by_rss = from_bytes as i64 - to_bytes as i64;
        u64::try_from(measured.max(by_rss)).unwrap_or(0)
    }

    /// This report, with usage as of now at its end.
    pub(crate) fn ending_with(self, now: Usage) -> Self {
        CleanupReport {
            after: now,
            thread_cache_bytes: now.heap.map(|heap| heap.thread_cache_bytes),
            ..self
        }
    }

    /// A report of something that did not run.
    pub(crate) fn not_run(
        outcome: CleanupOutcome,
        reason: Option<CleanupReason>,
        now: Usage,
    ) -> Self {
        CleanupReport {
            outcome,
            reason,
            before: now,
            after: now,
            target_bytes: None,
            hooks: Vec::new(),
            purged: false,
            trimmed: false,
            thread_cache_bytes: now.heap.map(|heap| heap.thread_cache_bytes),
            duration_ms: 0,
            cpu_us: 0,
        }
    }
}

/// How a cleanup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum CleanupOutcome {
    /// Usage is below the High line and has not grown past the threshold: nothing was done.
    NotNeeded,
    /// It ran to its end; each hook's own outcome is in its entry.
    Cleaned,
    /// The caller's wait ended first. The cleanup goes on; the figures are those of the moment.
    TimedOut,
    /// Asked for from inside a hook: the cleanup that is under way is the answer.
    InsideHook,
    /// The runner's thread could not be started.
    Unavailable,
}

impl fmt::Display for CleanupOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CleanupOutcome::NotNeeded => "not needed",
            CleanupOutcome::Cleaned => "cleaned",
            CleanupOutcome::TimedOut => "still under way",
            CleanupOutcome::InsideHook => "asked for inside a hook",
            CleanupOutcome::Unavailable => "no thread to run on",
        })
    }
}

/// What one hook did.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HookReport {
    /// The hook's name.
    pub name: String,
    /// How its call ended.
    pub outcome: HookOutcome,
    /// What it said it could free, before it ran.
    pub estimated_bytes: Option<u64>,
    /// What it said it freed.
    pub claimed_bytes: Option<u64>,
    /// What the runner's thread freed during the call. Memory that the hook handed to another thread to free is not in it.
    pub freed_bytes: Option<u64>,
    /// What the runner's thread allocated during the call.
    pub allocated_bytes: Option<u64>,
    /// By how much the whole process's active heap shrank during the call (negative: grew). Everybody's traffic is in it.
    pub process_freed_bytes: Option<i64>,
    /// How long the call took, in milliseconds.
    pub duration_ms: u64,
}

/// How the call of a hook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum HookOutcome {
    /// It returned.
    Completed,
    /// It panicked, with this message.
    Panicked(String),
    /// It had not returned at its deadline, and was left behind.
    TimedOut,
    /// It was not called, because an earlier call of it has not returned yet.
    StillRunning,
    /// It was not called: the time was up, or too many other hooks hang.
    Skipped,
    /// It was not called: the hooks before it have given back what was to be given back, by measurement.
    NotNeeded,
    /// It was being called, within its time, when the caller's wait ended.
    UnderWay,
    /// Its turn had not come when the caller's wait ended.
    Waiting,
}

impl fmt::Display for HookOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookOutcome::Completed => f.write_str("completed"),
            HookOutcome::Panicked(message) => write!(f, "panicked: {message}"),
            HookOutcome::TimedOut => f.write_str("timed out"),
            HookOutcome::StillRunning => f.write_str("still in an earlier call"),
            HookOutcome::Skipped => f.write_str("skipped"),
            HookOutcome::NotNeeded => f.write_str("not needed"),
            HookOutcome::UnderWay => f.write_str("under way"),
            HookOutcome::Waiting => f.write_str("waiting"),
        }
    }
}

impl HookReport {
    /// What the call freed minus what it allocated, on the runner's thread; negative when the hook grew.
    pub fn net_freed_bytes(&self) -> Option<i64> {
        Some(self.freed_bytes? as i64 - self.allocated_bytes? as i64)
    }

    /// An entry for a hook that did not return a result.
    pub(crate) fn without_result(name: &str, outcome: HookOutcome, duration: Duration) -> Self {
        HookReport {
            name: name.to_owned(),
            outcome,
            estimated_bytes: None,
            claimed_bytes: None,
            freed_bytes: None,
            allocated_bytes: None,
            process_freed_bytes: None,
            duration_ms: duration.as_millis() as u64,
        }
    }
}

/// A signed number of bytes, for people.
struct Signed(i64);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", ByteSize::bytes(self.0.unsigned_abs()))
    }
}

/// `forced cleanup: cleaned, RSS 210.3 MiB -> 98.1 MiB (112.2 MiB returned) in 12 ms`, then a line per hook.
impl fmt::Display for CleanupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(reason) = self.reason else {
            return write!(f, "no cleanup needed: {}", self.after);
        };
        write!(
            f,
            "{reason} cleanup: {}, RSS {} -> {} ({} returned) in {} ms",
            self.outcome,
            ByteSize::bytes(self.before.rss_bytes),
            ByteSize::bytes(self.after.rss_bytes),
            Signed(self.returned_bytes()),
            self.duration_ms,
        )?;
        if let Some(kept) = self.thread_cache_bytes.filter(|&kept| kept > 0) {
            write!(f, "; {} stay in thread caches", ByteSize::bytes(kept))?;
        }
        for hook in &self.hooks {
            write!(f, "\n  {hook}")?;
        }
        Ok(())
    }
}

/// `event cache: completed in 3 ms, freed 96.0 MiB, claimed 90.0 MiB`
impl fmt::Display for HookReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.outcome)?;
        let was_called = !matches!(
            self.outcome,
            HookOutcome::StillRunning
                | HookOutcome::Skipped
                | HookOutcome::NotNeeded
                | HookOutcome::Waiting
        );
        if was_called {
            write!(f, " in {} ms", self.duration_ms)?;
        }
        if let Some(freed) = self.net_freed_bytes() {
            write!(f, ", freed {}", Signed(freed))?;
        }
        if let Some(claimed) = self.claimed_bytes {
            write!(f, ", claimed {}", ByteSize::bytes(claimed))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::fake::{usage, with_unused};

    #[test]
    fn a_hooks_line_shows_what_it_freed_on_balance() {
        let report = HookReport {
            freed_bytes: Some(3 << 20),
            allocated_bytes: Some(1 << 20),
            claimed_bytes: Some(5 << 20),
            ..HookReport::without_result("cache", HookOutcome::Completed, Duration::from_millis(7))
        };
        assert_eq!(
            report.to_string(),
            "cache: completed in 7 ms, freed 2.0 MiB, claimed 5.0 MiB"
        );
        let report = HookReport {
            freed_bytes: Some(0),
            ..report
        };
        assert_eq!(report.net_freed_bytes(), Some(-1 << 20));
        assert!(report.to_string().contains("freed -1.0 MiB"));
        let waiting = HookReport::without_result("cache", HookOutcome::Waiting, Duration::ZERO);
        assert_eq!(waiting.to_string(), "cache: waiting");
        let spared = HookReport::without_result("cache", HookOutcome::NotNeeded, Duration::ZERO);
        assert_eq!(spared.to_string(), "cache: not needed");
    }

    #[test]
    fn the_yield_is_what_hooks_freed_or_what_rss_fell_whichever_is_more() {
        let hook = |freed, allocated| HookReport {
            freed_bytes: freed,
            allocated_bytes: allocated,
            ..HookReport::without_result("cache", HookOutcome::Completed, Duration::ZERO)
        };
        let yielded = |rss_before, rss_after, hooks| {
            let before = with_unused(usage(rss_before, None), 30);
            let report = CleanupReport {
                after: with_unused(usage(rss_after, None), 20),
                hooks,
                ..CleanupReport::not_run(CleanupOutcome::Cleaned, None, before)
            };
            [None, Some(&before)].map(|asked_at| report.yielded_bytes(asked_at))
        };
        let (frees, grows) = (hook(Some(50), Some(10)), hook(Some(5), Some(20)));
        let unmeasured = || vec![hook(None, None)];
        // Of all that came back, and without the ten that were unused before.
        assert_eq!(yielded(100, 70, vec![frees.clone()]), [40, 40]);
        assert_eq!(yielded(100, 30, vec![frees.clone()]), [70, 60]);
        // The process has filled up again meanwhile.
        assert_eq!(yielded(100, 900, vec![frees.clone()]), [40, 40]);
        assert_eq!(yielded(100, 100, vec![frees, grows.clone()]), [25, 25]);
        assert_eq!(yielded(100, 100, vec![grows]), [0, 0]);
        assert_eq!(yielded(100, 60, unmeasured()), [40, 30]);
        assert_eq!(yielded(100, 160, unmeasured()), [0, 0]);
    }
}
