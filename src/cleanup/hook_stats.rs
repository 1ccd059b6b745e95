//! [`HookStats`]: what a hook has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a registered hook has done so far, in all cleanups of its manager.
///
/// ```
/// use plimsoll::{CleanupFn, get_memory_manager};
///
/// let _registration = get_memory_manager().register_cleanup(CleanupFn::new("cache", |_| 0u64));
/// get_memory_manager().force_cleanup();
/// let stats = get_memory_manager().stats();
/// assert_eq!((stats.hook_stats[0].name.as_str(), stats.hook_stats[0].calls_total), ("cache", 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HookStats {
    /// The hook's name.
    pub name: String,
    /// How often it was called.
    pub calls_total: u64,
    /// What its calls were measured to free, each minus what it allocated and never below 0; `None` as long as nothing was measured.
    /// A call that was left behind is not in it.
    pub freed_bytes_total: Option<u64>,
    /// Calls that panicked, or ran past their deadline.
    pub failures_total: u64,
}

/// Written by the runner, read by any. Relaxed is enough: each number stands alone.
pub(crate) struct Tally {
    calls_total: AtomicU64,
    /// [`UNMEASURED`] until a call was measured.
    freed_bytes_total: AtomicU64,
    panics_total: AtomicU64,
}

const UNMEASURED: u64 = u64::MAX;

impl Default for Tally {
    fn default() -> Self {
        Tally {
            calls_total: AtomicU64::new(0),
            freed_bytes_total: AtomicU64::new(UNMEASURED),
            panics_total: AtomicU64::new(0),
        }
    }
}

impl Tally {
    pub(crate) fn called(&self) {
        self.calls_total.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics_total.fetch_add(1, Ordering::Relaxed);
    }

    /// A call has returned that was measured to free so much.
    pub(crate) fn freed(&self, bytes: Option<u64>) {
        let Some(bytes) = bytes else { return };
        let _ =
            self.freed_bytes_total
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| {
                    let before = if before == UNMEASURED { 0 } else { before };
                    Some(before.saturating_add(bytes).min(UNMEASURED - 1))
                });
    }

    fn freed_bytes(&self) -> Option<u64> {
        Some(self.freed_bytes_total.load(Ordering::Relaxed)).filter(|&bytes| bytes != UNMEASURED)
    }

    /// Counts what another has counted.
    pub(crate) fn absorb(&self, other: &Tally) {
        let add = |to: &AtomicU64, from: &AtomicU64| {
            to.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        add(&self.calls_total, &other.calls_total);
        add(&self.panics_total, &other.panics_total);
        self.freed(other.freed_bytes());
    }

    pub(crate) fn stats(&self, name: &str, timeouts_total: u64) -> HookStats {
        HookStats {
            name: name.to_owned(),
            calls_total: self.calls_total.load(Ordering::Relaxed),
            freed_bytes_total: self.freed_bytes(),
            failures_total: self.panics_total.load(Ordering::Relaxed) + timeouts_total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmeasured_is_unknown_and_failures_are_panics_and_timeouts() {
        let tally = Tally::default();
        tally.called();
        tally.freed(None);
        let stats = tally.stats("cache", 2);
        assert_eq!((stats.calls_total, stats.freed_bytes_total), (1, None));
        assert_eq!(stats.failures_total, 2);
        tally.called();
        tally.panicked();
        tally.freed(Some(0));
        assert_eq!(tally.stats("cache", 2).freed_bytes_total, Some(0));
        tally.freed(Some(7));
        let stats = tally.stats("cache", 2);
        assert_eq!((stats.calls_total, stats.freed_bytes_total), (2, Some(7)));
        assert_eq!(stats.failures_total, 3);
        tally.freed(Some(u64::MAX));
        assert_eq!(tally.stats("", 0).freed_bytes_total, Some(UNMEASURED - 1));
    }
}
