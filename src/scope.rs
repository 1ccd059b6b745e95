//! WHO: limits on what a stretch of code may use, on the thread that runs it.

mod exceeded;
mod guard;
mod ledger;
mod limit;
mod limited;
mod site;
mod stack;

pub use exceeded::LimitExceeded;
pub(crate) use guard::enter;
pub use guard::{ScopeGuard, ScopeReport, checkpoint};
pub use limit::{MemoryLimit, OnExceed};
pub use limited::Limited;
pub(crate) use limited::limited;
pub use site::Site;
pub(crate) use site::{Crossing, drain_crossings};
