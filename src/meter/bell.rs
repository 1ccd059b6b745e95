//! The bell: how hot code tells the worker that something happened, without waiting for anybody.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::sys::fork;

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
    /// The heap passed its line: look whether usage did.
    pub(crate) const HEAP_LINE: u32 = 1 << 5;
}

/// A word that a worker sleeps on. Whoever sets a bit that was not set wakes it; all others pass by.
pub(crate) struct Bell {
    word: AtomicU32,
    /// The process generation whose worker listens, plus 1; 0 when none ever did.
    heard_in: AtomicU64,
}

impl Bell {
    pub(crate) const fn new() -> Self {
        Bell {
            word: AtomicU32::new(0),
            heard_in: AtomicU64::new(0),
        }
    }

    /// Sets `bits`; at most one futex wake per round of the worker. No lock, no allocation.
    pub(crate) fn ring(&self, bits: u32) {
        // A check has nothing to hand over, so one that waits already speaks for this one; counters need not share the word.
        if bits == ring::CHECK && self.word.load(Ordering::Relaxed) & ring::CHECK != 0 {
            return;
        }
        if self.word.fetch_or(bits, Ordering::AcqRel) & bits != bits {
            wake(&self.word);
        }
    }

    /// Worker only: sleeps until a bit is set or the time is up, and takes all bits but the `postponed` ones. Those stay set,
    /// so that ringing them once more wakes nobody.
    pub(crate) fn wait(&self, timeout: Duration, postponed: u32) -> u32 {
        let word = self.word.load(Ordering::Acquire);
        if word & !postponed == 0 {
            sleep(&self.word, word, timeout);
        }
        self.word.fetch_and(postponed, Ordering::AcqRel) & !postponed
    }

    /// Says that this process has a worker that listens, or soon will.
    pub(crate) fn is_listened_to(&self) {
        self.heard_in
            .store(fork::generation() + 1, Ordering::Release);
    }

    fn is_heard(&self) -> bool {
        self.heard_in.load(Ordering::Acquire) == fork::generation() + 1
    }
}

#[cfg(target_os = "linux")]
fn wake(word: &AtomicU32) {
    use rustix::thread::futex;
    // The one error (a bad address) can't happen to a reference.
    let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
}

#[cfg(target_os = "linux")]
fn sleep(word: &AtomicU32, expected: u32, timeout: Duration) {
    use rustix::thread::futex;
    let timeout = futex::Timespec {
        tv_sec: timeout.as_secs() as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // Woken, timed out, interrupted or too late: the caller looks at the word in every case.
    let _ = futex::wait(word, futex::Flags::PRIVATE, expected, Some(&timeout));
}

/// Elsewhere the flag is set and the worker's next look finds it.
#[cfg(not(target_os = "linux"))]
fn wake(_word: &AtomicU32) {}

#[cfg(not(target_os = "linux"))]
fn sleep(_word: &AtomicU32, _expected: u32, timeout: Duration) {
    std::thread::sleep(timeout.min(Duration::from_millis(50)));
}

/// What was rung while nobody listened; a sentry may sleep on it.
static UNHEARD: AtomicU32 = AtomicU32::new(0);
static INSTALLED: OnceLock<&'static Bell> = OnceLock::new();
static STARTER: OnceLock<Starter> = OnceLock::new();

/// Makes a listener, on account of the place in the program that rang.
pub(crate) type Starter = fn(&'static Location<'static>);

/// Rings the installed manager's bell. Without a listener (none installed yet, or a forked child whose worker has not been
/// started) the starter makes one, once per process. Not for use inside the allocator: making one allocates.
pub(crate) fn ring_installed(bits: u32, by: &'static Location<'static>) {
    ring_from_event(bits);
    start_if_unheard(by);
}

/// As [`ring_installed`], but leaves it to a sentry, or to the next edge of a scope, to make a listener. Atomics and at most one
/// futex wake: may be called inside the allocator.
pub(crate) fn ring_from_event(bits: u32) {
    match INSTALLED.get() {
        Some(bell) if bell.is_heard() => bell.ring(bits),
        _ => {
            if UNHEARD.fetch_or(bits, Ordering::AcqRel) == 0 {
                wake(&UNHEARD);
            }
        }
    }
}

/// Makes a listener for what was rung and nobody heard. One atomic load when there is nothing.
#[inline]
pub(crate) fn start_if_unheard(by: &'static Location<'static>) {
    if UNHEARD.load(Ordering::Relaxed) != 0 {
        start(by);
    }
}

#[cold]
fn start(by: &'static Location<'static>) {
    if let Some(start) = STARTER.get() {
        start(by);
    }
    hand_over();
}

/// Passes on what was rung before anybody listened.
fn hand_over() {
    if let Some(bell) = INSTALLED.get() {
        let bits = UNHEARD.swap(0, Ordering::AcqRel);
        if bits != 0 {
            bell.ring(bits);
        }
    }
}

/// Sleeps until something is rung that nobody hears, or a bell is installed; whether it was the former.
pub(crate) fn stand_sentry() -> bool {
    const FOR_EVER: Duration = Duration::from_secs(3600);
    loop {
        if INSTALLED.get().is_some() {
            return false;
        }
        if UNHEARD.load(Ordering::Acquire) != 0 {
            return true;
        }
        sleep(&UNHEARD, 0, FOR_EVER);
    }
}

/// From now on `bell` hears what scopes and counters ring. The first one stays.
pub(crate) fn install(bell: &'static Bell) {
    if INSTALLED.set(bell).is_ok() {
        hand_over();
        wake(&UNHEARD);
    }
}

/// Whether `bell` is the installed one.
pub(crate) fn is_installed(bell: &Bell) -> bool {
    INSTALLED
        .get()
        .is_some_and(|installed| std::ptr::eq(*installed, bell))
}

/// Names what starts a listener when there is none.
pub(crate) fn set_starter(start: Starter) {
    let _ = STARTER.set(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_add_up_and_are_taken_once() {
        let bell = Bell::new();
        bell.ring(ring::CHECK);
        bell.ring(ring::EXCEEDED);
        bell.ring(ring::CHECK);
        assert_eq!(bell.wait(Duration::ZERO, 0), ring::CHECK | ring::EXCEEDED);
        assert_eq!(bell.wait(Duration::ZERO, 0), 0);
    }

    #[test]
    fn a_bell_is_heard_once_somebody_listens() {
        let bell = Bell::new();
        assert!(!bell.is_heard());
        bell.is_listened_to();
        assert!(bell.is_heard());
    }

    #[test]
    fn no_ring_is_lost_between_threads() {
        let bell = Bell::new();
        let rung = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        rung.fetch_add(1, Ordering::Release);
                        bell.ring(ring::CHECK);
                    }
                });
            }
            // Were a wake or a bit lost, this would sleep for the whole hour.
            let mut seen = 0;
            while seen < 40_000 {
                bell.wait(Duration::from_secs(3600), 0);
                seen = rung.load(Ordering::Acquire);
            }
        });
    }
}
