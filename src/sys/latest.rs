//! A few numbers that belong together, as of the last time somebody told them.

use crate::sys::atomic::{AtomicU64, Ordering, const_fn, fence, spin_loop};

/// How often a reader tries before it says "unknown": a writer takes nanoseconds, but one may have vanished in a fork.
const TRIES: usize = 64;

/// `N` numbers written and read together, without a lock. A writer that finds another at work leaves it at that: one of
/// two that come at once is as much the last as the other.
///
/// ```text
/// version: even = at rest, odd = being written; 0 = never written
/// ```
pub(crate) struct Latest<const N: usize> {
    version: AtomicU64,
    values: [AtomicU64; N],
}

impl<const N: usize> Latest<N> {
    const_fn! {
        pub(crate) fn new(values: [AtomicU64; N]) -> Self {
            Latest {
                version: AtomicU64::new(0),
                values,
            }
        }
    }

    /// Whether it was this caller's turn.
    pub(crate) fn set(&self, values: [u64; N]) -> bool {
        let version = self.version.load(Ordering::Relaxed);
        if version & 1 == 1
            || self
                .version
                .compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        // A reader that sees one of the new values sees the odd version as well.
        fence(Ordering::Release);
        for (place, value) in self.values.iter().zip(values) {
            place.store(value, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
        true
    }

    /// What was set last; `None` before that, or when no quiet moment was found.
    pub(crate) fn get(&self) -> Option<[u64; N]> {
        for _ in 0..TRIES {
            let before = self.version.load(Ordering::Acquire);
            if before == 0 {
                return None;
            }
            if before & 1 == 0 {
                let values = std::array::from_fn(|n| self.values[n].load(Ordering::Relaxed));
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return Some(values);
                }
            }
            spin_loop();
        }
        None
    }
}
