//! WHAT TO DO: hooks that give memory back, the runner that calls them, and the report of what it all returned.

mod backoff;
mod call;
#[cfg(feature = "telemetry")]
mod claim;
mod decay;
mod hook;
mod hook_stats;
mod job;
mod learned;
mod order;
mod periodic;
mod purge;
#[cfg(feature = "quick_cache")]
mod quick_cache;
mod registry;
mod report;
mod runner;

pub(crate) use decay::Decay;
pub use hook::{ClaimedBytes, CleanupFn, CleanupHook, CleanupReason, CleanupRequest};
pub use hook_stats::HookStats;
pub(crate) use order::{Order, Unused};
pub use periodic::{PeriodicCleanup, PeriodicStats};
pub(crate) use periodic::{periodic_stats, tick};
#[cfg(feature = "quick_cache")]
pub use quick_cache::QuickCacheHook;
pub use registry::CleanupRegistration;
pub(crate) use registry::Registry;
pub use report::{CleanupOutcome, CleanupReport, HookOutcome, HookReport};
pub(crate) use runner::{Host, Runner};
