//! Whether a request is granted. Pure, but for the atomics that hold the last reading.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::meter;
use crate::reserve::ReserveError;
use crate::usage::Usage;

/// More than any machine has, and so little that sums of it stay far from the end of an `i64`.
pub(super) const MOST_BYTES: u64 = 1 << 60;
/// So many threads are allowed for at least, and one more for each of the limit's `BYTES_PER_THREAD`.
const THREADS: u64 = 64;
const BYTES_PER_THREAD: u64 = 8 << 20;
/// How long a reading is used. Under pressure the worker takes the next before that; else whoever asks does.
const READING_LIVES_MS: u64 = 500;

/// What a fresh look said about room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// What fits at the level that binds.
    pub(super) headroom_bytes: u64,
    /// The tightest limit.
    pub(super) limit_bytes: u64,
}

impl Reading {
    /// `None` as long as no limit is known. Where only some are, those decide (a finding says that others may bind).
    pub(super) fn of(usage: &Usage) -> Option<Self> {
        Some(Reading {
            headroom_bytes: usage.headroom_bytes()?.min(MOST_BYTES),
            limit_bytes: usage.limit.bytes?.min(MOST_BYTES),
        })
    }
}

/// What a fresh reading says to a request beside `outstanding_bytes`, with `waiting_bytes` asked for by those who came before.
/// Under pressure `may_promise` is false, and no room is enough.
pub(super) fn decide(
    reading: Option<Reading>,
    may_promise: bool,
    outstanding_bytes: u64,
    waiting_bytes: u64,
    requested_bytes: u64,
) -> Result<(), ReserveError> {
    let Some(reading) = reading else {
        return Err(ReserveError::UnknownLimit { requested_bytes });
    };
    if requested_bytes > reading.limit_bytes {
        return Err(ReserveError::AboveLimit {
            requested_bytes,
            limit_bytes: reading.limit_bytes,
        });
    }
    if !may_promise {
        return Err(ReserveError::UnderPressure {
            requested_bytes,
            headroom_bytes: reading.headroom_bytes,
        });
    }
    let spoken_for = outstanding_bytes.saturating_add(waiting_bytes);
    if spoken_for.saturating_add(requested_bytes) <= reading.headroom_bytes {
        return Ok(());
    }
    Err(ReserveError::NoRoom {
        requested_bytes,
        headroom_bytes: reading.headroom_bytes,
        outstanding_bytes,
        waiting_bytes,
    })
}

/// The last reading, in the form in which a request is compared with it: where the allocation clock will stand when headroom
/// may be used up.
///
/// It only ever says yes where a fresh reading would. Memory grows without the clock when pages that were allocated earlier
/// are touched, and when others in the same cgroup grow; for as long as a reading lives that goes unseen.
pub(super) struct Forecast {
    used_up_at: AtomicU64,
    good_until_ms: AtomicU64,
}

impl Forecast {
    pub(super) const fn new() -> Self {
        Forecast {
            used_up_at: AtomicU64::new(0),
            good_until_ms: AtomicU64::new(0),
        }
    }

    /// Replaces the forecast. `clock_bytes` was read before the reading was taken. One caller at a time.
    pub(super) fn set(&self, reading: Option<Reading>, clock_bytes: u64, now_ms: u64) {
        match reading {
            // A clock that nobody drives tells nothing: then every request takes a reading of its own.
            Some(reading) if clock_bytes > 0 => {
                self.used_up_at.store(
                    used_up_at(reading, clock_bytes, meter::interval_bytes()),
                    Ordering::Relaxed,
                );
                // Last: whoever sees the new time sees the new place.
                self.good_until_ms
                    .store(now_ms.saturating_add(READING_LIVES_MS), Ordering::Release);
            }
            _ => self.good_until_ms.store(0, Ordering::Release),
        }
    }

    /// Whether `requested_bytes` fit for sure. `clock_bytes` was read after `outstanding_bytes`.
    #[inline]
    pub(super) fn has_room(
        &self,
        requested_bytes: u64,
        outstanding_bytes: u64,
        clock_bytes: u64,
        now_ms: impl FnOnce() -> u64,
    ) -> bool {
        let good_until_ms = self.good_until_ms.load(Ordering::Acquire);
        let spoken_for = clock_bytes.saturating_add(outstanding_bytes);
        spoken_for.saturating_add(requested_bytes) <= self.used_up_at.load(Ordering::Relaxed)
            && now_ms() < good_until_ms
    }
}

/// Worked example: 1 GiB free of 4 GiB, the clock at 10 GiB. The slack is 512 intervals, 128 MiB; so headroom may be used up
/// when the clock stands at 10 GiB + 896 MiB.
fn used_up_at(reading: Reading, clock_bytes: u64, interval_bytes: u64) -> u64 {
    let threads = THREADS.max(reading.limit_bytes / BYTES_PER_THREAD);
    let slack = threads.saturating_mul(interval_bytes);
    clock_bytes.saturating_add(reading.headroom_bytes.saturating_sub(slack))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::DEFAULT_INTERVAL_BYTES as INTERVAL_BYTES;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn reading(headroom_bytes: u64, limit_bytes: u64) -> Option<Reading> {
        Some(Reading {
            headroom_bytes,
            limit_bytes,
        })
    }

    #[test]
    fn room_is_headroom_without_what_is_spoken_for() {
        // headroom, outstanding, waiting, request, granted
        let table = [
            (100, 0, 0, 100, true),
            (100, 0, 0, 101, false),
            (100, 60, 0, 40, true),
            (100, 60, 0, 41, false),
            (100, 30, 30, 40, true),
            (100, 30, 31, 40, false),
            (0, 0, 0, 0, true),
            (0, 0, 0, 1, false),
            (100, u64::MAX, u64::MAX, 1, false),
        ];
        for (headroom, outstanding, waiting, request, granted) in table {
            let verdict = decide(reading(headroom, 1000), true, outstanding, waiting, request);
            let refused = Err(ReserveError::NoRoom {
                requested_bytes: request,
                headroom_bytes: headroom,
                outstanding_bytes: outstanding,
                waiting_bytes: waiting,
            });
            assert_eq!(verdict, if granted { Ok(()) } else { refused });
        }
    }

    #[test]
    fn unknown_is_not_unlimited_and_above_the_limit_is_never() {
        let unknown = decide(None, true, 0, 0, 1);
        assert_eq!(
            unknown,
            Err(ReserveError::UnknownLimit { requested_bytes: 1 })
        );
        let above = ReserveError::AboveLimit {
            requested_bytes: 101,
            limit_bytes: 100,
        };
        assert_eq!(decide(reading(0, 100), true, 0, 0, 101), Err(above));
        assert!(decide(reading(u64::MAX, u64::MAX - 1), true, 0, 0, u64::MAX).is_err());
    }

    #[test]
    fn under_pressure_no_room_is_enough_and_never_stays_never() {
        let refused = ReserveError::UnderPressure {
            requested_bytes: 10,
            headroom_bytes: 50,
        };
        assert_eq!(decide(reading(50, 100), false, 0, 0, 10), Err(refused));
        let above = decide(reading(50, 100), false, 0, 0, 101).unwrap_err();
        assert!(!above.may_pass(), "{above}");
        let unknown = decide(None, false, 0, 0, 10).unwrap_err();
        assert_eq!(
            unknown,
            ReserveError::UnknownLimit {
                requested_bytes: 10
            }
        );
    }

    #[test]
    fn a_forecast_ends_with_its_time_and_with_its_bytes() {
        let forecast = Forecast::new();
        let room = |request, outstanding, clock, now| {
            forecast.has_room(request, outstanding, clock, || now)
        };
        assert!(!room(0, 0, 0, 0), "nothing was read yet");
        forecast.set(reading(GIB, 4 * GIB), 10 * GIB, 1000);
        assert!(room(896 * MIB, 0, 10 * GIB, 1000));
        assert!(!room(896 * MIB + 1, 0, 10 * GIB, 1000));
        assert!(room(96 * MIB, 500 * MIB, 10 * GIB + 300 * MIB, 1499));
        assert!(!room(96 * MIB, 500 * MIB, 10 * GIB + 301 * MIB, 1499));
        assert!(!room(1, 0, 10 * GIB, 1500), "the worker is due");
        assert!(!room(u64::MAX, u64::MAX, u64::MAX, 1000));
        forecast.set(reading(GIB, 4 * GIB), 0, 1000);
        assert!(!room(1, 0, 0, 1000), "nobody drives the clock");
        forecast.set(reading(GIB, 4 * GIB), 10 * GIB, 1000);
        forecast.set(None, 10 * GIB, 1000);
        assert!(!room(1, 0, 10 * GIB, 1000), "the limit became unknown");
    }

    proptest! {
        #[test]
        fn a_forecast_grants_nothing_that_a_reading_would_refuse(
            headroom in 0..1u64 << 50, more in 0..1u64 << 50, clock in 1..1u64 << 60,
            grown in 0..1u64 << 50, unseen in 0..64 * INTERVAL_BYTES, outstanding in 0..1u64 << 50, request in 0..1u64 << 50,
        ) {
            let forecast = Forecast::new();
            forecast.set(reading(headroom, headroom + more), clock, 0);
            if forecast.has_room(request, outstanding, clock + grown, || 1) {
                let fresh = reading(headroom.saturating_sub(grown + unseen), headroom + more);
                prop_assert_eq!(decide(fresh, true, outstanding, 0, request), Ok(()));
            }
        }
    }
}
