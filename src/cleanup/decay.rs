//! How soon jemalloc gives freed pages back: sooner while memory is short, and as before after that.

use crate::sys::figures::DecayOf;
use crate::sys::fork::Snapshot;
use crate::sys::jemalloc;

/// Freed pages are kept this long while memory is short, instead of jemalloc's 10 s. Sooner costs a program that does nothing
/// but allocate and free more than it returns: at 100 ms two thirds of its speed for a quarter of its RSS.
const HASTY_DECAY_MS: isize = 1000;

/// What decays how fast when nobody hastens it.
type Usual = Vec<(DecayOf, isize)>;

/// Hastens decay, and takes it back. For one thread at a time, and not inside the allocator: takes each arena's locks.
///
/// jemalloc's settings are the process's, and a forked child inherits them with this: what was hastened can be restored there.
pub(crate) struct Decay {
    /// The values before, as long as it is hastened.
    usual: Snapshot<Option<Usual>>,
}

impl Decay {
    pub(crate) fn new() -> Self {
        Decay {
            usual: Snapshot::new(None),
        }
    }

    pub(crate) fn is_hastened(&self) -> bool {
        self.usual.load().is_some()
    }

    /// From now on freed pages go back soon. What is as soon already stays as it is.
    pub(crate) fn hasten(&self) {
        // Remembered before anything is set, so that a fork between the two leaves the child something to restore.
        self.usual.update(|usual| match usual {
            Some(usual) => (Some(usual.clone()), ()),
            None => (Some(current()), ()),
        });
        self.usual.update(|usual| {
            for &(of, decay_ms) in usual.iter().flatten() {
                let is_slow = !(0..=HASTY_DECAY_MS).contains(&decay_ms);
                replace(
                    of,
                    decay_ms,
                    if is_slow { HASTY_DECAY_MS } else { decay_ms },
                );
            }
            (usual.clone(), ())
        });
    }

    /// Freed pages stay as long as before. What somebody else has set meanwhile stays.
    pub(crate) fn restore(&self) {
        if !self.is_hastened() {
            return;
        }
        self.usual.update(|usual| {
            for (of, decay_ms) in usual.iter().flatten().copied().chain(newcomers(usual)) {
                replace(of, HASTY_DECAY_MS, decay_ms);
            }
            (None, ())
        });
    }
}

/// Sets what is still as expected.
fn replace(of: DecayOf, expected_ms: isize, decay_ms: isize) {
    if expected_ms != decay_ms && jemalloc::dirty_decay_ms(of) == Some(expected_ms) {
        // An arena that is gone since needs nothing.
        let _ = jemalloc::set_dirty_decay_ms(of, decay_ms);
    }
}

fn arenas() -> impl Iterator<Item = DecayOf> {
    (0..jemalloc::arenas()).map(DecayOf::Arena)
}

fn current() -> Usual {
    std::iter::once(DecayOf::New)
        .chain(arenas())
        .filter_map(|of| Some((of, jemalloc::dirty_decay_ms(of)?)))
        .collect()
}

/// Arenas that were made while it was hastened, with what they would have been made with.
fn newcomers(usual: &Option<Usual>) -> Usual {
    let usual = usual.as_deref().unwrap_or_default();
    let Some(&(_, decay_ms)) = usual.iter().find(|(of, _)| *of == DecayOf::New) else {
        return Vec::new();
    };
    arenas()
        .filter(|arena| !usual.iter().any(|(of, _)| of == arena))
        .map(|arena| (arena, decay_ms))
        .collect()
}

#[cfg(all(test, feature = "jemalloc"))]
mod tests {
    use super::*;
    use std::process::Command;

    const CHILD: &str = "PLIMSOLL_TEST_CHILD";

    /// Runs `body` in a process of its own whose jemalloc starts with this decay.
    fn with_decay(test: &str, decay_ms: &str, body: impl FnOnce()) {
        if std::env::var_os(CHILD).is_some() {
            return body();
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args([&format!("cleanup::decay::tests::{test}"), "--exact"])
            .env(CHILD, "1")
            .env("_RJEM_MALLOC_CONF", format!("dirty_decay_ms:{decay_ms}"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }

    fn decay_ms(of: DecayOf) -> isize {
        jemalloc::dirty_decay_ms(of).unwrap()
    }

    fn new_arena() -> DecayOf {
        DecayOf::Arena(jemalloc::create_arena().unwrap())
    }

    fn new_arena_with(decay_ms: isize) -> DecayOf {
        let arena = new_arena();
        assert!(jemalloc::set_dirty_decay_ms(arena, decay_ms));
        arena
    }

    #[test]
    fn what_the_user_set_comes_back_arena_by_arena() {
        with_decay(
            "what_the_user_set_comes_back_arena_by_arena",
            "7777",
            || {
                let [first, slower, never, short, as_short, eager] =
                    [7777, 20_000, -1, 50, HASTY_DECAY_MS, 0].map(new_arena_with);
                let before = current();
                assert_eq!(decay_ms(DecayOf::New), 7777);
                let decay = Decay::new();
                // Again and again is the same as once.
                for _ in 0..2 {
                    decay.hasten();
                    for of in [DecayOf::New, first, slower, never, as_short] {
                        assert_eq!(decay_ms(of), HASTY_DECAY_MS, "{of:?}");
                    }
                    assert_eq!((decay_ms(short), decay_ms(eager)), (50, 0));
                }
                let newcomer = new_arena();
                assert_eq!(decay_ms(newcomer), HASTY_DECAY_MS);
                for _ in 0..2 {
                    decay.restore();
                    for &(of, usual_ms) in &before {
                        assert_eq!(decay_ms(of), usual_ms, "{of:?}");
                    }
                    assert_eq!(decay_ms(newcomer), 7777);
                }
                decay.hasten();
                assert_eq!(
                    (decay_ms(never), decay_ms(newcomer)),
                    (HASTY_DECAY_MS, HASTY_DECAY_MS)
                );
                decay.restore();
                assert_eq!((decay_ms(never), decay_ms(newcomer)), (-1, 7777));
            },
        );
    }

    #[test]
    fn what_is_set_meanwhile_stays_and_restoring_nothing_does_nothing() {
        with_decay(
            "what_is_set_meanwhile_stays_and_restoring_nothing_does_nothing",
            "7777",
            || {
                let (changed, other) = (new_arena(), new_arena_with(HASTY_DECAY_MS));
                let decay = Decay::new();
                decay.restore();
                assert_eq!((decay_ms(changed), decay_ms(other)), (7777, HASTY_DECAY_MS));
                decay.hasten();
                assert!(jemalloc::set_dirty_decay_ms(changed, 3000));
                decay.hasten();
                assert_eq!(decay_ms(changed), 3000);
                decay.restore();
                assert_eq!((decay_ms(changed), decay_ms(DecayOf::New)), (3000, 7777));
            },
        );
    }

    #[test]
    fn a_decay_that_is_shorter_is_left() {
        with_decay("a_decay_that_is_shorter_is_left", "20", || {
            let arena = new_arena();
            let decay = Decay::new();
            decay.hasten();
            assert_eq!((decay_ms(DecayOf::New), decay_ms(arena)), (20, 20));
            decay.restore();
            assert_eq!((decay_ms(DecayOf::New), decay_ms(arena)), (20, 20));
        });
    }
}
