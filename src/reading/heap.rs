//! What the allocator says of the heap.

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

/// The heap now, on top of the figures of an earlier epoch.
pub(crate) fn fresh(epoch: Option<EpochFigures>) -> Option<HeapUsage> {
    let epoch = epoch?;
    Some(HeapUsage {
        active_bytes: jemalloc::active_bytes().unwrap_or(epoch.active_bytes),
        allocated_bytes: epoch.allocated_bytes,
        resident_bytes: epoch.resident_bytes,
        dirty_bytes: epoch.dirty_bytes,
        retained_bytes: epoch.retained_bytes,
        mapped_bytes: epoch.mapped_bytes,
        metadata_bytes: epoch.metadata_bytes,
        thread_cache_bytes: epoch.thread_cache_bytes,
    })
}
