//! WHO: limits on what a stretch of code may use, on the thread that runs it.

mod account;
mod exceeded;
mod frame;
mod future;
mod guard;
mod handle;
mod ledger;
mod limit;
mod limited;
mod metered;
mod site;
mod stack;
mod stats;
mod terms;
mod thread;

pub use exceeded::LimitExceeded;
pub use future::LimitedFuture;
#[cfg(feature = "tower")]
pub(crate) use future::limited_begun;
pub(crate) use future::{limit_future, limit_result_future, limited_future};
pub(crate) use guard::enter;
pub use guard::{ScopeGuard, ScopeReport, checkpoint};
pub use handle::{AttachedFuture, ScopeHandle};
pub use ledger::Suggestion;
pub use limit::{MemoryLimit, OnExceed};
pub use limited::Limited;
pub(crate) use limited::limited;
pub(crate) use site::{Crossing, drain_crossings};
pub use site::{LimitCrossing, Site};
pub use stats::ScopeStats;
pub(crate) use stats::scope_stats;
pub(crate) use thread::at_event;
