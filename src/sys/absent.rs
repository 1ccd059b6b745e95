//! The twin of `jemalloc.rs` for a build without the feature: everything is unknown, and nothing is invented.

use super::counters::Pointers;

/// jemalloc's figures as of the last epoch; never made in this build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochFigures {
    pub(crate) allocated_bytes: u64,
    pub(crate) active_bytes: u64,
    pub(crate) metadata_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) mapped_bytes: u64,
    pub(crate) retained_bytes: u64,
    pub(crate) dirty_bytes: u64,
    pub(crate) thread_cache_bytes: u64,
}

pub(crate) fn is_global() -> bool {
    false
}

pub(super) fn thread_pointers() -> Pointers {
    Pointers::STILL
}

pub(crate) fn epoch_figures() -> Option<EpochFigures> {
    None
}

pub(crate) fn active_bytes() -> Option<u64> {
    None
}

pub(crate) fn flush_thread_cache() {}

pub(crate) fn purge_all_arenas() -> bool {
    false
}
