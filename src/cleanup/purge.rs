//! [`Purge`]: unused pages go back to the kernel, all of them or as many as it takes.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::meter;
use crate::sys::jemalloc;

/// Arenas give back in turn, first the one that has waited longest: what is unused there has been so for longest.
#[derive(Debug, Default)]
pub(super) struct Purge {
    next_arena: AtomicU32,
}

impl Purge {
    /// Whether it can be told when it is enough.
    pub(super) fn can_tell() -> bool {
        meter::anonymous_bytes().is_some()
    }

    /// Gives back all that is unused, or arena after arena until memory is smaller by `enough_bytes`. Whether jemalloc took the call.
    pub(super) fn run(&self, enough_bytes: u64) -> bool {
        match meter::anonymous_bytes() {
            Some(from_bytes) if enough_bytes < u64::MAX && jemalloc::is_global() => {
                let mut purged = false;
                self.in_turn(jemalloc::arenas(), |arena| {
                    purged |= jemalloc::purge_arena(arena);
                    let now_bytes = meter::anonymous_bytes();
                    now_bytes.is_some_and(|bytes| bytes.saturating_add(enough_bytes) <= from_bytes)
                });
                purged
            }
            _ => jemalloc::purge_all_arenas(),
        }
    }

    /// Once round at most, until `is_enough`; the next time it goes on from there.
    fn in_turn(&self, arenas: u32, mut is_enough: impl FnMut(u32) -> bool) {
        for _ in 0..arenas {
            let arena = self.next_arena.load(Ordering::Relaxed) % arenas;
            self.next_arena.store(arena + 1, Ordering::Relaxed);
            if is_enough(arena) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arenas_take_turns_until_it_is_enough() {
        let purge = Purge::default();
        let turns = |arenas, enough| {
            let mut asked = Vec::new();
            purge.in_turn(arenas, |arena| {
                asked.push(arena);
                asked.len() == enough
            });
            asked
        };
        assert_eq!(turns(4, 3), [0, 1, 2]);
        assert_eq!(turns(4, 2), [3, 0]);
        assert_eq!(turns(4, 9), [1, 2, 3, 0]);
        // One more has come.
        assert_eq!(turns(5, 1), [1]);
        assert!(turns(0, 1).is_empty());
    }
}
