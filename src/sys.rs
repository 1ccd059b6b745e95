//! The one room with unsafe code: a safe vocabulary over jemalloc, fork and raw pointers.

#[cfg(feature = "jemalloc")]
mod allocator;
pub(crate) mod atomic;
pub(crate) mod coarse;
pub(crate) mod counters;
pub(crate) mod figures;
pub(crate) mod fork;
#[cfg(feature = "jemalloc")]
pub(crate) mod jemalloc;
#[cfg(not(feature = "jemalloc"))]
#[path = "sys/absent.rs"]
pub(crate) mod jemalloc;

pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod rusage;

#[cfg(feature = "jemalloc")]
pub use allocator::Jemalloc;
