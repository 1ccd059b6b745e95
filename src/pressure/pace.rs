//! [`Pace`]: when to look again. Pure.

use std::time::{Duration, Instant};

use crate::pressure::PressureLevel;

/// From one look to the next when all is well: what the limit counts, and the limit itself, are no older than that.
const AT_REST: Duration = Duration::from_secs(1);
/// The same from Elevated on, and right after the start.
const UNDER_PRESSURE: Duration = Duration::from_millis(100);

/// Where memory grows fast without telling; a look takes 40 to 200 us then.
const LEAST: Duration = Duration::from_millis(4);

/// Half of a speed is forgotten in this time: a cleanup in between hides growth, and does not end it.
const HALF_LIFE_SECONDS: f64 = 0.2;

/// Bytes per second that are none: RSS is up and down by a few pages.
const STANDSTILL: f64 = 1e6;

/// Ten looks a second under pressure, one at rest; more often where growth asks for it.
///
/// Memory can grow without an event that tells: threads that end before they have allocated an interval's worth, pages that were
/// allocated long ago, neighbours in the cgroup. So the next look comes before half of the way to the next line is gone.
#[derive(Debug)]
pub(crate) struct Pace {
    last: Option<(Instant, u64, u64)>,
    bytes_per_second: f64,
    tick: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Pace {
            last: None,
            bytes_per_second: 0.0,
            tick: UNDER_PRESSURE / 2,
        }
    }

    /// After a look that found `used_bytes`, `left_bytes` below the next line: how long until the next. `active_bytes` of the heap grow first
    /// where unused pages are taken again: usage stands still then, until there are none left or a purge has taken them.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        level: PressureLevel,
        used_bytes: u64,
        active_bytes: u64,
        left_bytes: u64,
    ) -> Duration {
        if let Some((then, used_then, active_then)) =
            self.last.replace((now, used_bytes, active_bytes))
        {
            let seconds = now.saturating_duration_since(then).as_secs_f64();
            let before = self.bytes_per_second * (-seconds / HALF_LIFE_SECONDS).exp2();
            // Two looks one upon the other say nothing.
            let grown_bytes = used_bytes
                .saturating_sub(used_then)
                .max(active_bytes.saturating_sub(active_then)) as f64;
            self.bytes_per_second = before.max(grown_bytes / seconds.max(LEAST.as_secs_f64()));
        }
        // Not from one moment to ten times as long: a program that starts has not shown its speed yet.
        let calm = if level > PressureLevel::Normal {
            UNDER_PRESSURE
        } else {
            (self.tick * 2).clamp(UNDER_PRESSURE, AT_REST)
        };
        let half_way = left_bytes as f64 / 2.0 / self.bytes_per_second;
        self.tick = if self.bytes_per_second < STANDSTILL {
            calm
        } else {
            Duration::try_from_secs_f64(half_way)
                .unwrap_or(calm)
                .clamp(LEAST, calm)
        };
        self.tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PressureLevel::{Elevated, Normal};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn at_rest_it_slows_down_and_under_pressure_it_does_not() {
        let mut pace = Pace::new();
        let mut now = Instant::now();
        let mut next = |level| {
            let tick = pace.next(now, level, 100, 0, 600);
            now += tick;
            tick.as_millis()
        };
        let ticks: [u128; 6] = std::array::from_fn(|_| next(Normal));
        assert_eq!(ticks, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(
            [next(Elevated), next(Elevated), next(Normal)],
            [100, 100, 200]
        );
    }

    #[test]
    fn growth_is_looked_at_before_half_of_the_way_is_gone() {
        let start = Instant::now();
        let mut pace = Pace::new();
        let mut next = |now, level, used_mib: u64, left_mib: u64| {
            pace.next(now, level, used_mib << 20, 0, left_mib << 20)
        };
        for n in 0..6 {
            next(start + 1000 * MS * n, Normal, 100, 600);
        }
        let now = start + 6000 * MS;
        // 200 in a second: half of 400 takes another.
        assert_eq!(next(now, Normal, 300, 400), 1000 * MS);
        assert_eq!(next(now + 1000 * MS, Normal, 500, 200), 500 * MS);
        assert_eq!(next(now + 1500 * MS, Normal, 600, 100), 250 * MS);
        assert_eq!(next(now + 1750 * MS, Elevated, 700, 10), 12_500 * MS / 1000);
        assert_eq!(next(now + 1760 * MS, Elevated, 790, 1), LEAST);
        // Given back by a cleanup: the speed is remembered, and fades.
        assert!(next(now + 1770 * MS, Elevated, 600, 100) < 20 * MS);
        assert_eq!(next(now + 5000 * MS, Elevated, 600, 100), 100 * MS);
    }

    #[test]
    fn a_heap_that_takes_unused_pages_again_grows_though_usage_stands() {
        let start = Instant::now();
        let mut pace = Pace::new();
        let mut next = |ms: u32, active_mib: u64| {
            pace.next(
                start + MS * ms,
                Elevated,
                100 << 20,
                active_mib << 20,
                20 << 20,
            )
        };
        assert_eq!(next(0, 50), 100 * MS);
        // 1000 MiB a second: half of 20 MiB takes 10 ms.
        assert_eq!(next(10, 60), 10 * MS);
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_is_no_reason_to_spin() {
        let now = Instant::now();
        let mut pace = Pace::new();
        for used in [1, 100, 1 << 60, 0, u64::MAX] {
            assert!(pace.next(now, Normal, used, 0, u64::MAX - used) >= LEAST);
            assert!(pace.next(now - MS, Normal, used / 2 + 1, 0, 0) >= LEAST);
        }
    }
}
