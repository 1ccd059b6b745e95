//! [`Ticket`]: which frame is whose.

/// Which frame a guard holds; serial 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scope) struct Ticket {
    serial: u64,
}

impl Ticket {
    pub(in crate::scope) const NONE: Ticket = Ticket { serial: 0 };
    /// No frame either, but another one of this thread posts to its account.
    pub(in crate::scope) const COVERED: Ticket = Ticket { serial: u64::MAX };

    #[inline]
    pub(in crate::scope) fn of(serial: u64) -> Self {
        Ticket { serial }
    }

    /// That of the frame pushed `frames` after this one's, nothing else in between.
    pub(in crate::scope) fn plus(self, frames: u32) -> Self {
        Ticket::of(self.serial + u64::from(frames))
    }
}
