//! What the allocator says of the heap.

use crate::reading::process::ProcessMemory;
use crate::sys::figures::EpochFigures;
use crate::sys::jemalloc;

/// The heap as jemalloc sees it. `active_bytes` is fresh at every reading; the rest is as of the last epoch, which is as old
/// as [`Usage::slow_facts_age_ms`](crate::Usage::slow_facts_age_ms) says.
///
/// In a healthy process allocated <= active <= resident. The gap between the first two is fragmentation, the gap between
/// the last two is what a purge can return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HeapUsage {
    /// Bytes in pages that hold at least one allocation, now. jemalloc: `approximate_stats.active`, else `stats.active`.
    /// Active is not resident: `vec![0; 8 << 30]` is active before it is touched.
    pub active_bytes: u64,
    /// Bytes that the application holds, rounded to size classes. jemalloc: `stats.allocated`.
    pub allocated_bytes: u64,
    /// Bytes in physical pages that the allocator has mapped: active, dirty and its own records. jemalloc: `stats.resident`,
    /// an upper bound, because untouched pages count.
    pub resident_bytes: u64,
    /// Bytes in unused pages not yet returned to the kernel. jemalloc: `stats.arenas.<all>.pdirty`.
    pub dirty_bytes: u64,
    /// Bytes of address space kept without physical memory behind it. jemalloc: `stats.retained`.
    pub retained_bytes: u64,
    /// Bytes in the mappings that hold active pages. jemalloc: `stats.mapped`.
    pub mapped_bytes: u64,
    /// Bytes of the allocator's own records. jemalloc: `stats.metadata`.
    pub metadata_bytes: u64,
    /// Bytes freed but kept in threads' caches, out of reach of a purge. jemalloc: `stats.arenas.<all>.tcache_bytes`.
    pub thread_cache_bytes: u64,
}

/// The heap at an epoch, and what tells how it has changed since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeapReading {
    epoch: EpochFigures,
    /// As read right after it.
    pages: Option<Pages>,
}

/// What is cheap to read at any time.
#[derive(Clone, Copy, Debug)]
struct Pages {
    active_bytes: u64,
    /// Of the whole process.
    anonymous_bytes: u64,
}

impl Pages {
    fn now(process: Option<ProcessMemory>) -> Option<Pages> {
        Some(Pages {
            active_bytes: jemalloc::active_bytes()?,
            anonymous_bytes: process?.anonymous_bytes?,
        })
    }

    /// How much is unused now, if it was `unused_then_bytes` at `then`: a page that was freed since is no longer active and still in memory,
    /// one that was taken again is active and no more memory than before. Too low while new allocations are not touched yet or pages are
    /// swapped out; too high where untouched memory was freed, or others than the heap grew. Pure.
    fn unused_bytes(&self, then: &Pages, unused_then_bytes: u64) -> u64 {
        (unused_then_bytes.saturating_add(then.active_bytes))
            .saturating_add(self.anonymous_bytes)
            .saturating_sub(then.anonymous_bytes)
            .saturating_sub(self.active_bytes)
    }
}

impl HeapReading {
    /// Begins an epoch, beside what `process` says at that moment. `None` when jemalloc is not the global allocator.
    pub(crate) fn take(process: impl FnOnce() -> Option<ProcessMemory>) -> Option<Self> {
        Some(HeapReading {
            epoch: jemalloc::epoch_figures()?,
            pages: Pages::now(process()),
        })
    }

    /// Whether what is unused can be told without another epoch.
    pub(crate) fn can_reckon(&self) -> bool {
        self.pages.is_some()
    }

    /// The heap now, and of it the bytes in pages that nobody uses. `process` was read just before.
    pub(crate) fn fresh(&self, process: Option<ProcessMemory>) -> (HeapUsage, u64) {
        let epoch = &self.epoch;
        let now = Pages::now(process);
        let active_bytes = now.map_or_else(jemalloc::active_bytes, |now| Some(now.active_bytes));
        let usage = HeapUsage {
            active_bytes: active_bytes.unwrap_or(epoch.active_bytes),
            allocated_bytes: epoch.allocated_bytes,
            resident_bytes: epoch.resident_bytes,
            dirty_bytes: epoch.dirty_bytes,
            retained_bytes: epoch.retained_bytes,
            mapped_bytes: epoch.mapped_bytes,
            metadata_bytes: epoch.metadata_bytes,
            thread_cache_bytes: epoch.thread_cache_bytes,
        };
        let unused_bytes = match (self.pages, now) {
            (Some(then), Some(now)) => now.unused_bytes(&then, epoch.dirty_bytes),
            _ => epoch.dirty_bytes,
        };
        (usage, unused_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unused_now_follows_from_an_epoch() {
        let pages = |active_bytes, anonymous_bytes| Pages {
            active_bytes,
            anonymous_bytes,
        };
        let then = pages(600, 1000);
        // active, anonymous, unused of 300 then
        let table = [
            (600, 1000, 300, "nothing has changed"),
            (700, 1000, 200, "unused pages were taken again"),
            (500, 1000, 400, "pages were freed"),
            (700, 1100, 300, "new pages were taken"),
            (600, 800, 100, "unused pages went back"),
            (500, 900, 300, "pages were freed and went back"),
            (9000, 1000, 0, "much was taken and not touched"),
            (0, 0, 0, "all is gone"),
            (0, u64::MAX, u64::MAX - 1000, "absurd"),
        ];
        for (active, anonymous, expected, what) in table {
            let now = pages(active, anonymous);
            assert_eq!(now.unused_bytes(&then, 300), expected, "{what}");
        }
    }
}
