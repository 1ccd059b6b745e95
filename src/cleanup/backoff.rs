//! How long cleanups rest after one that was in vain. Pure: the time is passed in.

use std::time::{Duration, Instant};

use crate::usage::Bound;

/// After a futile cleanup, so many times its cost pass before the next: one part in twenty of one core, 5 %, at most.
const REST_PER_COST: u32 = 19;
/// What cost next to nothing would else be tried without end.
const LEAST_REST: Duration = Duration::from_millis(100);
/// No clock counts that far; keeps the sum from overflowing.
const LONGEST_REST: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten cleanups that return this share of their target each have reached it.
const FAIR_SHARE: u64 = 10;
/// RSS is up and down by so much in any busy process: less may be chance.
const NOISE_BYTES: u64 = 1 << 20;
/// What a millisecond of a core should return, 62 MiB in a second: slower than that, and a service that is loading fast gains
/// nothing on it. A hook that frees small blocks one by one is ten times as fast and more.
const FAIR_BYTES_PER_MS: u64 = 64 << 10;

/// Of what is left below the limit memory may take one part in so many while cleanups rest: for so much more nobody is braked, and
/// what is more than that ends the rest.
const ROOM_SHARE: u64 = 4;
/// Past that room usage may be up and down by one part in so many of the limit, and by what is noise anyway.
const WAVERING_SHARE: u64 = 100;

/// Says when the next cleanup that nobody waits for may start.
///
/// A cleanup is futile when it returned less than a tenth of its target, and less than 1 MiB or what its cost should have
/// returned. The share of the target speaks for small limits (of 32 MiB a tenth of the way from 90 % to 70 % is 650 KiB),
/// the cost for large ones, where a second of searching that finds 2 MiB is in vain.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    rest: Option<Rest>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    /// How much may be used meanwhile; `None` when no limit is known.
    room_bytes: Option<u64>,
}

impl Backoff {
    /// A cleanup has ended that cost this much of one core, was to return `target_bytes` (0 below the line it aims at, `u64::MAX`
    /// for all there is), and returned `returned_bytes`; `highest` is what was used before or after it, whichever is more. Whether it
    /// was futile.
    pub(crate) fn cleaned(
        &mut self,
        now: Instant,
        cost: Duration,
        target_bytes: u64,
        returned_bytes: u64,
        highest: Option<Bound>,
    ) -> bool {
        let is_futile = is_futile(cost, target_bytes, returned_bytes);
        self.rest = is_futile.then(|| {
            let rest = cost.saturating_mul(REST_PER_COST);
            Rest {
                until: now + rest.clamp(LEAST_REST, LONGEST_REST),
                room_bytes: highest
                    .map(|bound| bound.used_bytes + bound.headroom_bytes() / ROOM_SHARE),
            }
        });
        is_futile
    }

    /// Whether the next cleanup that nobody waits for may start: the rest is over, or memory has grown out of its room.
    pub(crate) fn may_start(&self, now: Instant, bound: Option<Bound>) -> bool {
        self.rest.is_none_or(|rest| {
            let has_outgrown = bound
                .zip(rest.room_bytes)
                .is_some_and(|(bound, room_bytes)| {
                    let wavering_bytes = (bound.limit_bytes / WAVERING_SHARE).max(NOISE_BYTES);
                    bound.used_bytes > room_bytes.saturating_add(wavering_bytes)
                });
            now >= rest.until || has_outgrown
        })
    }

    /// How much may be used while cleanups rest; 0 when they don't have to, or no limit is known.
    pub(crate) fn room_bytes(&self) -> u64 {
        self.rest.and_then(|rest| rest.room_bytes).unwrap_or(0)
    }
}

fn is_futile(cost: Duration, target_bytes: u64, returned_bytes: u64) -> bool {
    let cost_ms = u64::try_from(cost.as_millis()).unwrap_or(u64::MAX);
    let fair_bytes = FAIR_BYTES_PER_MS.saturating_mul(cost_ms).max(NOISE_BYTES);
    let misses_target = target_bytes == 0 || returned_bytes < target_bytes.div_ceil(FAIR_SHARE);
    misses_target && returned_bytes < fair_bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::LimitSource;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn futile_is_little_of_the_target_and_little_for_the_cost() {
        let table = [
            // A container of 32 MiB at 90 %, which aims at 70 %.
            (MS, 32 * MIB / 5, 0, true),
            (MS, 32 * MIB / 5, 600 << 10, true),
            (MS, 32 * MIB / 5, 700 << 10, false),
            // However dear it was.
            (1000 * MS, 32 * MIB / 5, 700 << 10, false),
            // 64 GiB: a tenth of the way is 1.3 GiB.
            (MS, 13 * GIB, MIB - 1, true),
            (MS, 13 * GIB, MIB, false),
            (15 * MS, 13 * GIB, MIB, false),
            (300 * MS, 13 * GIB, 2 * MIB, true),
            (300 * MS, 13 * GIB, 18 * MIB, true),
            (300 * MS, 13 * GIB, 19 * MIB, false),
            (Duration::MAX, 13 * GIB, 2 * GIB, false),
            (Duration::MAX, 13 * GIB, GIB, true),
            // Only a purge was due, or all there is: the cost alone judges.
            (MS, 0, MIB - 1, true),
            (MS, 0, MIB, false),
            (MS, u64::MAX, MIB - 1, true),
            (MS, u64::MAX, MIB, false),
            // However near the target was, nothing is nothing.
            (MS, 5, 0, true),
            (MS, 5, 1, false),
        ];
        for (cost, target, returned, expected) in table {
            assert_eq!(
                is_futile(cost, target, returned),
                expected,
                "{cost:?} {target} {returned}"
            );
        }
    }

    #[test]
    fn it_rests_nineteen_times_the_cost_and_not_after_a_productive_one() {
        let now = Instant::now();
        let table = [
            (Duration::ZERO, LEAST_REST),
            (MS, LEAST_REST),
            (10 * MS, 190 * MS),
            (4000 * MS, 76_000 * MS),
            (Duration::MAX, LONGEST_REST),
        ];
        for (cost, rest) in table {
            let mut backoff = Backoff::default();
            assert!(backoff.may_start(now, None));
            assert!(backoff.cleaned(now, cost, GIB, 0, None));
            assert!(!backoff.may_start(now + rest - Duration::from_nanos(1), None));
            assert!(backoff.may_start(now + rest, None), "{cost:?}");
            assert!(!backoff.cleaned(now, cost, GIB, GIB, None));
            assert!(backoff.may_start(now, None), "{cost:?}");
        }
    }

    #[test]
    fn growth_out_of_its_room_ends_a_rest_and_wavering_does_not() {
        let bound = |used_mib: u64| {
            Some(Bound {
                limit_bytes: 1000 * MIB,
                used_bytes: used_mib * MIB,
                source: LimitSource::Builder,
            })
        };
        let now = Instant::now();
        // A quarter of what is left, and one percent of the limit on top. At the limit nothing is left, and above it.
        let table = [
            (200, 400, 410),
            (800, 850, 860),
            (1000, 1000, 1010),
            (1200, 1200, 1210),
        ];
        for (used, room, last_that_rests) in table {
            let mut backoff = Backoff::default();
            assert_eq!(backoff.room_bytes(), 0);
            backoff.cleaned(now, 1000 * MS, GIB, 0, bound(used));
            assert_eq!(backoff.room_bytes(), room * MIB);
            assert!(!backoff.may_start(now, bound(last_that_rests)), "{used}");
            assert!(backoff.may_start(now, bound(last_that_rests + 1)), "{used}");
            assert!(!backoff.may_start(now, None), "{used}");
            backoff.cleaned(now, MS, GIB, GIB, bound(used));
            assert_eq!(backoff.room_bytes(), 0);
        }
    }

    proptest! {
        /// Cleanups that are futile, each started as soon as it may, on a clock that stands still, walks and jumps ahead.
        #[test]
        fn futile_cleanups_take_a_twentieth_of_a_core_at_most(
            // Processor time, time on the clock beside it, and the step in which the clock goes on.
            cleanups in proptest::collection::vec(
                (0_u64..5_000_000, 0_u64..2_000_000, prop_oneof![1_u64..100, 1_u64..100_000_000]),
                1..50,
            ),
        ) {
            let start = Instant::now();
            let (mut now, mut backoff) = (start, Backoff::default());
            let mut cost_total = Duration::ZERO;
            for (cost_us, waited_us, step_ms) in cleanups {
                let cost = Duration::from_micros(cost_us);
                now += cost + Duration::from_micros(waited_us);
                cost_total += cost;
                backoff.cleaned(now, cost, GIB, 0, None);
                // Looks in steps would take too many for the short ones: the first that is allowed, and nothing before.
                let rest = (cost * REST_PER_COST).max(LEAST_REST);
                let step = Duration::from_millis(step_ms);
                let steps = rest.as_nanos().div_ceil(step.as_nanos()) as u32;
                if steps > 1 {
                    prop_assert!(!backoff.may_start(now + step * (steps - 1), None));
                }
                now += step * steps;
                prop_assert!(backoff.may_start(now, None));
                prop_assert!(cost_total * 20 <= now - start, "{cost_total:?} of {:?}", now - start);
            }
        }
    }
}
