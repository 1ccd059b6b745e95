//! WHAT TO DO: hooks that give memory back, the runner that calls them, and the report of what it all returned.

mod backoff;
mod call;
#[cfg_attr(
    not(all(test, feature = "jemalloc")),
    expect(
        dead_code,
        reason = "the worker is to call it under sustained pressure"
    )
)]
mod decay;
mod hook;
mod job;
mod learned;
mod need;
mod periodic;
mod registry;
mod report;
mod runner;

pub use hook::{ClaimedBytes, CleanupFn, CleanupHook, CleanupReason, CleanupRequest};
pub(crate) use need::{Lines, need};
pub use periodic::{PeriodicCleanup, PeriodicStats};
pub(crate) use periodic::{periodic_stats, tick};
pub use registry::CleanupRegistration;
pub(crate) use registry::Registry;
pub use report::{CleanupOutcome, CleanupReport, HookOutcome, HookReport};
pub(crate) use runner::{Host, Order, Runner};
