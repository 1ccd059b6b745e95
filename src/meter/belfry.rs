//! [`Belfry`]: where the installed bell hangs, and what was rung before it did.

use std::time::Duration;

use crate::meter::bell::Bell;
use crate::sys::atomic::{AtomicU32, OnceLock, Ordering, const_fn};
use crate::sys::futex;

/// Set with the bell, and no ring: a sentry that looked just before does not fall asleep.
const INSTALLED: u32 = 1 << 31;

/// Rings the installed bell if somebody listens to it; else it keeps what was rung until somebody does.
pub(crate) struct Belfry {
    /// What was rung while nobody listened, and [`INSTALLED`]; a sentry may sleep on it.
    unheard: AtomicU32,
    installed: OnceLock<&'static Bell>,
}

impl Belfry {
    const_fn! {
        pub(crate) fn new() -> Self {
            Belfry {
                unheard: AtomicU32::new(0),
                installed: OnceLock::new(),
            }
        }
    }

    /// The first one stays; whether it is `bell`. What was rung before reaches it.
    pub(crate) fn install(&self, bell: &'static Bell) -> bool {
        let is_first = self.installed.set(bell).is_ok();
        if is_first {
            self.hand_over();
            futex::wake(&self.unheard);
        }
        is_first
    }

    pub(crate) fn installed(&self) -> Option<&'static Bell> {
        self.installed.get().copied()
    }

    fn heard(&self) -> Option<&'static Bell> {
        self.installed().filter(|bell| bell.is_heard())
    }

    /// Atomics and at most one futex wake: may be called inside the allocator.
    pub(crate) fn ring(&self, bits: u32) {
        match self.heard() {
            Some(bell) => bell.ring(bits),
            None => self.keep(bits),
        }
    }

    #[cold]
    fn keep(&self, bits: u32) {
        if self.unheard.fetch_or(bits, Ordering::AcqRel) == 0 {
            futex::wake(&self.unheard);
        }
        // Somebody may have begun to listen meanwhile, and looked here just before.
        if self.heard().is_some() {
            self.hand_over();
        }
    }

    /// Whether something was rung that nobody heard. One atomic load.
    #[inline]
    pub(crate) fn has_unheard(&self) -> bool {
        self.unheard.load(Ordering::Relaxed) & !INSTALLED != 0
    }

    /// Somebody listens to `bell` from now on: passes on what was rung before.
    pub(crate) fn is_listened_to(&self, bell: &Bell) {
        bell.is_listened_to();
        self.hand_over();
    }

    /// Passes on what nobody heard, if there is a bell.
    pub(crate) fn hand_over(&self) {
        if let Some(bell) = self.installed() {
            // Written even when nothing was rung: by this, whoever rings too late for it sees that somebody listens.
            let bits = self.unheard.swap(INSTALLED, Ordering::AcqRel) & !INSTALLED;
            if bits != 0 {
                bell.ring(bits);
            }
        }
    }

    /// Sleeps until something is rung that nobody hears, or a bell is installed; whether it was the former.
    pub(crate) fn stand_sentry(&self) -> bool {
        const FOR_EVER: Duration = Duration::from_secs(3600);
        loop {
            // Acquire: whoever sees `INSTALLED` sees the bell.
            let unheard = self.unheard.load(Ordering::Acquire);
            if self.installed().is_some() {
                return false;
            }
            if unheard != 0 {
                return true;
            }
            futex::sleep(&self.unheard, 0, FOR_EVER);
        }
    }
}
