//! The bell that the process's scopes, counters and events ring.

use std::panic::Location;
use std::sync::OnceLock;

use crate::meter::belfry::Belfry;
use crate::meter::bell::Bell;

static BELFRY: Belfry = Belfry::new();
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
    BELFRY.ring(bits);
}

/// Makes a listener for what was rung and nobody heard. One atomic load when there is nothing.
#[inline]
pub(crate) fn start_if_unheard(by: &'static Location<'static>) {
    if BELFRY.has_unheard() {
        start(by);
    }
}

#[cold]
fn start(by: &'static Location<'static>) {
    if let Some(start) = STARTER.get() {
        start(by);
    }
    BELFRY.hand_over();
}

/// Sleeps until something is rung that nobody hears, or a bell is installed; whether it was the former.
pub(crate) fn stand_sentry() -> bool {
    BELFRY.stand_sentry()
}

/// From now on `bell` hears what scopes and counters ring. The first one stays.
pub(crate) fn install(bell: &'static Bell) {
    BELFRY.install(bell);
}

/// Says that this process has a worker that listens to `bell`, or soon will.
pub(crate) fn is_listened_to(bell: &Bell) {
    BELFRY.is_listened_to(bell);
}

/// Whether `bell` is the installed one.
pub(crate) fn is_installed(bell: &Bell) -> bool {
    BELFRY
        .installed()
        .is_some_and(|installed| std::ptr::eq(installed, bell))
}

/// Names what starts a listener when there is none.
pub(crate) fn set_starter(start: Starter) {
    let _ = STARTER.set(start);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use crate::meter::bell::{Bell, ring};

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
                        // Not a check: that one hands nothing over.
                        bell.ring(ring::EXCEEDED);
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
