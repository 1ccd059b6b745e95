//! The one room with unsafe code: a safe vocabulary over jemalloc, fork and raw pointers.

#[cfg(feature = "jemalloc")]
mod allocator;
pub(crate) mod atomic;
pub(crate) mod clock;
pub(crate) mod counters;
pub(crate) mod figures;
pub(crate) mod fork;
pub(crate) mod futex;
#[cfg(feature = "jemalloc")]
pub(crate) mod jemalloc;
#[cfg(not(feature = "jemalloc"))]
#[path = "sys/absent.rs"]
pub(crate) mod jemalloc;

pub(crate) mod latest;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod rusage;
pub(crate) mod thread_event;
pub(crate) mod trim;
pub(crate) mod wake;

#[cfg(feature = "jemalloc")]
pub use allocator::Jemalloc;
