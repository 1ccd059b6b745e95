//! WHO: limits on what a stretch of code may use, on the thread that runs it.

mod exceeded;
mod guard;
mod limit;
mod site;
mod stack;

pub use exceeded::LimitExceeded;
pub use guard::{ScopeGuard, ScopeReport, checkpoint};
pub(crate) use guard::{enter, limited};
pub use limit::{MemoryLimit, OnExceed};
pub use site::Site;
pub(crate) use site::{Crossing, drain_crossings};
