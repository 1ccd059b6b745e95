//! What jemalloc says of the heap at an epoch.

/// jemalloc's figures as of the last epoch.
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

/// Whose decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecayOf {
    /// Of arenas to come.
    New,
    /// Of the arena with this index.
    Arena(u32),
}
