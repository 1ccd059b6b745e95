#![doc = include_str!("lib.md")]
#![deny(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod bytes;
mod callsite;
mod cleanup;
mod explain;
#[cfg(feature = "tower")]
pub mod layers;
mod manager;
mod meter;
mod pressure;
mod reading;
mod reserve;
mod scope;
#[allow(unsafe_code, reason = "the one room for it")]
mod sys;
mod usage;

#[cfg(feature = "telemetry")]
pub mod telemetry;

pub use bytes::{ByteSize, ParseByteSizeError};
#[cfg(feature = "quick_cache")]
pub use cleanup::QuickCacheHook;
pub use cleanup::{
    ClaimedBytes, CleanupFn, CleanupHook, CleanupOutcome, CleanupReason, CleanupRegistration,
    CleanupReport, CleanupRequest, HookOutcome, HookReport, HookStats, PeriodicCleanup,
    PeriodicStats,
};
pub use explain::{Finding, Severity};
pub use manager::{
    BuildError, ENVIRONMENT, EnvironmentVariable, InstallError, ManagerStats, MemoryManager,
    MemoryManagerBuilder, NoticeStats, WithMemoryLimit, get_memory_manager,
};
pub use meter::{BrakeStats, thread_idle};
pub use plimsoll_macros::{memory_limit, periodic_cleanup};
pub use pressure::{
    ManagerGone, NoCapacity, PressureCause, PressureChange, PressureChanged, PressureLevel,
    PressureSubscription, WaitingForCapacity,
};
pub use reserve::{Reservation, ReserveError, Reserving};
pub use scope::{
    AttachedFuture, LimitCrossing, LimitExceeded, LimitedFuture, MemoryLimit, OnExceed, ScopeGuard,
    ScopeHandle, ScopeReport, ScopeStats, Site, Suggestion, checkpoint,
};
#[cfg(feature = "jemalloc")]
pub use sys::Jemalloc;
pub use usage::{Bound, CgroupVersion, HeapUsage, Limit, LimitSource, Usage};

/// What a scope counts.
#[doc = include_str!("scopes.md")]
pub mod _scopes {}

/// What the library logs, and under which names.
#[doc = include_str!("events.md")]
pub mod _events {}

/// What the attributes expand to. Not for direct use; may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::cleanup::PeriodicCleanup;
    pub use crate::manager::{enter, limit_future, limit_result_future, limited, tick};
    pub use crate::scope::{Limited, MemoryLimit, OnExceed, Site};
}

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
