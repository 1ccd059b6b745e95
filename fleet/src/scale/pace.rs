//! [`Pace`]: when rounds are.

use std::time::Duration;

use tokio::time::Instant;

/// So long after an engine was away it is asked again, at first.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// From one reading of a service to the next an interval passes, and no more: what is new is acted on within it. One reading may come at
/// once and the next take as long as the engine lets it, so rounds are so much less than an interval apart.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    spacing: Duration,
    pub(super) next: Instant,
    pub(super) is_under_way: bool,
    pause: Duration,
    rounds: u64,
}

impl Pace {
    pub(super) fn new(interval: Duration, slowest_reading: Duration) -> Pace {
        Pace {
            interval,
            // An interval that is hardly longer than a reading is kept as well as it can be.
            spacing: interval - slowest_reading.min(interval / 2),
            next: Instant::now(),
            is_under_way: false,
            pause: FIRST_PAUSE,
            rounds: 0,
        }
    }

    pub(super) fn begin(&mut self) {
        self.is_under_way = true;
        self.next = Instant::now() + self.spacing;
    }

    pub(super) fn end(&mut self) {
        self.is_under_way = false;
        self.pause = FIRST_PAUSE;
        self.rounds += 1;
    }

    /// One was made, and no other is due.
    pub(super) fn is_over(&self) -> bool {
        self.rounds > 0 && !self.is_under_way && self.next > Instant::now()
    }

    /// The engine is away. Twice as long each time, and not longer than a round's time.
    pub(super) fn back_off(&mut self) {
        self.is_under_way = false;
        self.next = Instant::now() + self.pause.min(self.interval);
        self.pause = self.pause.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// From reading to reading, in milliseconds, where each takes as long as the next of `take_ms`.
    async fn gaps(interval_ms: u32, slowest_ms: u32, take_ms: &[u32]) -> Vec<u128> {
        let mut pace = Pace::new(MS * interval_ms, MS * slowest_ms);
        let mut last = None;
        let mut gaps = Vec::new();
        for take_ms in take_ms {
            tokio::time::sleep_until(pace.next).await;
            pace.begin();
            tokio::time::sleep(MS * *take_ms).await;
            pace.end();
            let now = Instant::now();
            gaps.extend(last.replace(now).map(|last| (now - last).as_millis()));
        }
        gaps
    }

    #[tokio::test(start_paused = true)]
    async fn no_two_readings_are_further_apart_than_an_interval_that_the_engine_can_keep() {
        // interval, slowest reading, what readings take -> what is between them
        let table: [(_, _, &[_], &[_]); 4] = [
            (30_000, 0, &[3, 3, 3], &[30_000, 30_000]),
            (30_000, 1000, &[0, 1000, 0], &[30_000, 28_000]),
            (2000, 1000, &[0, 1000, 10], &[2000, 10]),
            // Less than the engine can do.
            (1000, 1000, &[0, 1000, 1000, 0], &[1500, 1000, 0]),
        ];
        for (interval_ms, slowest_ms, take_ms, expected) in table {
            let gaps = gaps(interval_ms, slowest_ms, take_ms).await;
            assert_eq!(gaps, expected, "{interval_ms} {slowest_ms}");
        }
    }
}
