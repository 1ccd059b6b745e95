//! The twin of `jemalloc.rs` for a build without the feature: everything is unknown, and nothing is invented.

use super::counters::Pointers;
use super::figures::{DecayOf, EpochFigures};

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

pub(crate) fn purge_arena(_index: u32) -> bool {
    false
}

pub(crate) fn arenas() -> u32 {
    0
}

pub(crate) fn dirty_decay_ms(_of: DecayOf) -> Option<isize> {
    None
}

pub(crate) fn set_dirty_decay_ms(_of: DecayOf, _decay_ms: isize) -> bool {
    false
}
