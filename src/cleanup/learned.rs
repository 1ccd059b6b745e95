//! How much a hook has given back per millisecond so far, and the order that follows from it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cleanup::registry::Entry;

/// Measured bytes per millisecond, the last call for one half, the one before for a quarter, and so on. One runner writes it.
pub(crate) struct Learned(AtomicU64);

/// No call was measured yet. Comes before all others, so that it is.
const UNKNOWN: u64 = u64::MAX;

impl Learned {
    pub(crate) const fn new() -> Self {
        Learned(AtomicU64::new(UNKNOWN))
    }

    /// A call has returned this much (nothing, when the hook grew) in this time.
    pub(crate) fn learn(&self, returned_bytes: u64, duration: Duration) {
        let nanos = duration.as_nanos().max(1);
        let per_ms = u128::from(returned_bytes) * 1_000_000 / nanos;
        let per_ms = u64::try_from(per_ms).unwrap_or(UNKNOWN).min(UNKNOWN - 1);
        let learned = match self.0.load(Ordering::Relaxed) {
            UNKNOWN => per_ms,
            before => before / 2 + per_ms / 2,
        };
        self.0.store(learned, Ordering::Relaxed);
    }

    /// A call has panicked or not returned in time: whatever the hook has yielded before, others are asked first.
    pub(crate) fn fail(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The higher, the earlier.
    fn rank(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The order in which hooks run: by priority, then the unknown ones, then by what they have yielded, then as in `entries`.
pub(crate) fn order(entries: &[Arc<Entry>]) -> Vec<Arc<Entry>> {
    let mut ordered = entries.to_vec();
    // Each key is taken once: the values may change while this sorts.
    ordered.sort_by_cached_key(|entry| Reverse((entry.priority, entry.learned.rank())));
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanup::{CleanupFn, Registry};

    const MS: Duration = Duration::from_millis(1);

    /// The order of hooks with these priorities and, each call as bytes in a millisecond or a failure, these pasts.
    fn ordered(hooks: &[(&str, i32, &[Option<u64>])]) -> Vec<String> {
        let registry = Arc::new(Registry::new());
        let registrations: Vec<_> = hooks
            .iter()
            .map(|&(name, priority, _)| {
                registry.register(Box::new(CleanupFn::new(name, |_| ()).priority(priority)))
            })
            .collect();
        for entry in registry.entries().iter() {
            let (_, _, calls) = hooks.iter().find(|hook| hook.0 == entry.name).unwrap();
            for call in *calls {
                match call {
                    Some(bytes) => entry.learned.learn(*bytes, MS),
                    None => entry.learned.fail(),
                }
            }
        }
        let names = order(&registry.entries())
            .iter()
            .map(|entry| entry.name.clone())
            .collect();
        drop(registrations);
        names
    }

    #[test]
    fn hooks_run_by_priority_then_unknown_ones_then_by_yield_then_by_registration() {
        type Hook = (&'static str, i32, &'static [Option<u64>]);
        let table: &[(&[Hook], &str)] = &[
            (&[("a", 0, &[]), ("b", 0, &[])], "a b"),
            (&[("a", 0, &[Some(5)]), ("b", 0, &[Some(9)])], "b a"),
            (&[("a", 0, &[Some(9)]), ("b", 0, &[Some(9)])], "a b"),
            (&[("a", 0, &[Some(9)]), ("b", 0, &[])], "b a"),
            // No yield makes up for a lower priority.
            (&[("a", 0, &[Some(u64::MAX)]), ("b", 1, &[Some(0)])], "b a"),
            // The last call counts for a half: 50 + 5 against 50.
            (
                &[("a", 0, &[Some(50)]), ("b", 0, &[Some(100), Some(10)])],
                "b a",
            ),
            (
                &[("a", 0, &[Some(60)]), ("b", 0, &[Some(100), Some(10)])],
                "a b",
            ),
            // A failure sends it to the end of its priority, and one good call brings it back.
            (
                &[
                    ("a", 0, &[Some(9999), None]),
                    ("b", 0, &[Some(1)]),
                    ("c", -1, &[]),
                ],
                "b a c",
            ),
            (&[("a", 0, &[None, Some(9)]), ("b", 0, &[Some(1)])], "a b"),
            // A failed call is known: it does not run first again.
            (
                &[("a", 0, &[None]), ("b", 0, &[Some(1)]), ("c", 0, &[])],
                "c b a",
            ),
        ];
        for (hooks, expected) in table {
            assert_eq!(ordered(hooks).join(" "), *expected, "{hooks:?}");
        }
    }

    #[test]
    fn the_rate_is_per_time_and_survives_extremes() {
        let rate = |bytes, duration| {
            let learned = Learned::new();
            learned.learn(bytes, duration);
            learned.rank()
        };
        assert_eq!(rate(1000, 10 * MS), 100);
        assert_eq!(rate(1000, MS / 10), 10_000);
        assert_eq!(rate(0, Duration::ZERO), 0);
        // Known, however much.
        assert_eq!(rate(u64::MAX, Duration::ZERO), UNKNOWN - 1);
        assert_eq!(rate(1, Duration::MAX), 0);
    }
}
