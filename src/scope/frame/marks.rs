//! [`Marks`]: everything about a frame that one comparison should tell.

/// How often a scope was entered, and everything that makes leaving it more than popping it: one comparison tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks(pub(super) u64);

impl Marks {
    /// Entered once, nothing else.
    pub(super) const PLAIN: Marks = Marks(1);
    pub(super) const NO_ENTRY: Marks = Marks(Self::CLOSED);
    /// The low bits count entries.
    pub(super) const ENTRIES: u64 = u32::MAX as u64;
    pub(super) const EXCEEDED: u64 = 1 << 32;
    pub(super) const CLOSED: u64 = 1 << 33;
    /// Has an account that other threads post to as well.
    pub(super) const SHARED: u64 = 1 << 34;
    /// Its site was told that it holds something.
    pub(super) const TOLD: u64 = 1 << 35;
    /// Works for another thread's scope, whose end is not this frame's.
    pub(super) const ATTACHED: u64 = 1 << 37;
    /// The frame below it is closed, and goes when it goes.
    pub(super) const ABOVE_CLOSED: u64 = 1 << 36;

    #[inline]
    pub(super) fn has(self, mark: u64) -> bool {
        self.0 & mark != 0
    }

    #[inline]
    pub(super) fn with(self, mark: u64) -> Self {
        Marks(self.0 | mark)
    }

    #[inline]
    pub(super) fn without(self, mark: u64) -> Self {
        Marks(self.0 & !mark)
    }
}
