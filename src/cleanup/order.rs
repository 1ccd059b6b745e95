//! [`Order`]: a cleanup to do.

use crate::cleanup::CleanupReason;

/// A cleanup to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) reason: CleanupReason,
    pub(crate) call_hooks: bool,
    pub(crate) purge: Unused,
}

/// Which of the allocator's unused pages go back; the later, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unused {
    None,
    /// As many as end the level where work is refused: the program is at work, and takes the others again at once.
    Enough,
    All,
}

impl Order {
    /// One cleanup that answers both.
    pub(crate) fn merge(self, other: Order) -> Order {
        Order {
            reason: self.reason.max(other.reason),
            call_hooks: self.call_hooks || other.call_hooks,
            purge: self.purge.max(other.purge),
        }
    }
}
