//! The bell: how hot code tells the worker that something happened, without waiting for anybody.

use std::time::Duration;

use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering, const_fn};
use crate::sys::{fork, futex};

/// What a bell can say; several at once are one sum of bits.
pub(crate) mod ring {
    /// Look at the levels, clean up if needed.
    pub(crate) const CHECK: u32 = 1;
    /// Clean up.
    pub(crate) const CLEAN: u32 = 1 << 1;
    /// A scope passed its limit.
    pub(crate) const EXCEEDED: u32 = 1 << 2;
    /// A hook has started: watch its deadline.
    pub(crate) const SUPERVISE: u32 = 1 << 3;
    /// The manager is going away.
    pub(crate) const STOP: u32 = 1 << 4;
    /// The heap passed its line, a thread is braked, or a cleanup has ended: measure usage.
    pub(crate) const LOOK: u32 = 1 << 5;
}

/// A word that a worker sleeps on. Whoever sets a bit that was not set wakes it; all others pass by.
pub(crate) struct Bell {
    word: AtomicU32,
    /// The process generation whose worker listens, plus 1; 0 when none ever did.
    heard_in: AtomicU64,
}

impl Bell {
    const_fn! {
        pub(crate) fn new() -> Self {
            Bell {
                word: AtomicU32::new(0),
                heard_in: AtomicU64::new(0),
            }
        }
    }

    /// Sets `bits`; at most one futex wake per round of the worker. No lock, no allocation.
    pub(crate) fn ring(&self, bits: u32) {
        // A check has nothing to hand over, so one that waits already speaks for this one; counters need not share the word.
        if bits == ring::CHECK && self.word.load(Ordering::Relaxed) & ring::CHECK != 0 {
            return;
        }
        if self.word.fetch_or(bits, Ordering::AcqRel) & bits != bits {
            futex::wake(&self.word);
        }
    }

    /// Worker only: sleeps until a bit is set or the time is up, and takes all bits but the `postponed` ones. Those stay set,
    /// so that ringing them once more wakes nobody.
    pub(crate) fn wait(&self, timeout: Duration, postponed: u32) -> u32 {
        let word = self.word.load(Ordering::Acquire);
        if word & !postponed == 0 {
            futex::sleep(&self.word, word, timeout);
        }
        self.word.fetch_and(postponed, Ordering::AcqRel) & !postponed
    }

    /// Says that this process has a worker that listens, or soon will.
    pub(super) fn is_listened_to(&self) {
        self.heard_in
            .store(fork::generation() + 1, Ordering::Release);
    }

    pub(super) fn is_heard(&self) -> bool {
        self.heard_in.load(Ordering::Acquire) == fork::generation() + 1
    }
}
