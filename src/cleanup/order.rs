//! [`Order`]: a cleanup to do.

use crate::cleanup::CleanupReason;

/// A cleanup to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) reason: CleanupReason,
    pub(crate) call_hooks: bool,
    /// Give the allocator's unused pages back.
    pub(crate) purge: bool,
}

impl Order {
    /// One cleanup that answers both.
    pub(crate) fn merge(self, other: Order) -> Order {
        Order {
            reason: self.reason.max(other.reason),
            call_hooks: self.call_hooks || other.call_hooks,
            purge: self.purge || other.purge,
        }
    }
}
