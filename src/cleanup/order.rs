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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_more_gets_it_for_both() {
        let order = |reason, call_hooks, purge| Order {
            reason,
            call_hooks,
            purge,
        };
        let at_work = order(CleanupReason::Pressure, true, Unused::Enough);
        let asked = order(CleanupReason::Growth, false, Unused::All);
        let both = order(CleanupReason::Pressure, true, Unused::All);
        assert_eq!(at_work.merge(asked), both);
        assert_eq!(asked.merge(at_work), both);
    }
}
