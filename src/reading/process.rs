//! What the kernel says of this process.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Process, Statm};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Process, Statm};

/// Cheap enough for every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessMemory {
    pub(crate) rss_bytes: u64,
    /// The part of it that belongs to no file and is not shared: what allocations take, once they are touched. `None` where the
    /// system does not tell.
    pub(crate) anonymous_bytes: Option<u64>,
    pub(crate) virtual_bytes: u64,
}

/// Read once per tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlowProcessMemory {
    pub(crate) peak_rss_bytes: Option<u64>,
    pub(crate) swap_bytes: Option<u64>,
}
