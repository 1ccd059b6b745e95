//! [`Pace`]: when rounds are.

use std::time::Duration;

use tokio::time::Instant;

/// So long after an engine was away it is asked again, at first.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// From one reading to the next an interval passes, and no more: what is new is acted on within it. A reading takes its time, and not
/// always the same, so a round begins as much before its interval is over as it may take, or as the last one took.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    pub(super) next: Instant,
    pub(super) is_under_way: bool,
    began: Instant,
    slowest_reading: Duration,
    pause: Duration,
    rounds: u64,
}

impl Pace {
    pub(super) fn new(interval: Duration, slowest_reading: Duration) -> Pace {
        let now = Instant::now();
        Pace {
            interval,
            next: now,
            is_under_way: false,
            began: now,
            slowest_reading,
            pause: FIRST_PAUSE,
            rounds: 0,
        }
    }

    pub(super) fn begin(&mut self) {
        self.is_under_way = true;
        self.began = Instant::now();
    }

    pub(super) fn end(&mut self) {
        let now = Instant::now();
        self.is_under_way = false;
        self.pause = FIRST_PAUSE;
        self.rounds += 1;
        let lead = self.slowest_reading.max(now - self.began);
        self.next = now + self.interval - lead.min(self.interval / 2);
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

    /// How long it is from reading to reading, in milliseconds, where `reading` ends one.
    async fn gaps<F: Future<Output = ()>>(
        interval_s: u64,
        slowest_reading: Duration,
        rounds: usize,
        reading: impl Fn() -> F,
    ) -> Vec<u128> {
        let mut pace = Pace::new(Duration::from_secs(interval_s), slowest_reading);
        let mut last = None;
        let mut gaps = Vec::new();
        while gaps.len() < rounds {
            tokio::time::sleep_until(pace.next).await;
            pace.begin();
            reading().await;
            pace.end();
            let now = Instant::now();
            gaps.extend(last.replace(now).map(|last| (now - last).as_millis()));
        }
        gaps
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_engine_reads_once_a_second_no_two_readings_are_further_apart_than_an_interval()
     {
        let start = Instant::now();
        // Its second is a little longer, so that all waits come.
        for (interval_s, least_ms) in [(1, 900), (2, 900), (30, 28_900)] {
            let gaps = gaps(interval_s, 1000 * MS, 300, || {
                let passed_ms = (Instant::now() - start).as_millis() as u64;
                tokio::time::sleep_until(start + MS * ((passed_ms / 1007 + 1) * 1007) as u32)
            })
            .await;
            let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
            // Two of its seconds at 2 s.
            let most_ms = u128::from(interval_s) * 1000 + 14;
            assert!(*most <= most_ms, "{interval_s}: {most}");
            assert!(*least >= least_ms, "{interval_s}: {least}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_it_answers_at_once_rounds_are_an_interval_apart() {
        let gaps = gaps(30, Duration::ZERO, 5, async || {
            tokio::time::sleep(3 * MS).await;
        })
        .await;
        assert_eq!(gaps, [30_000; 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slower_than_the_interval_leaves_half_of_it_for_others() {
        let gaps = gaps(4, 1000 * MS, 5, async || {
            tokio::time::sleep(9000 * MS).await
        })
        .await;
        assert_eq!(gaps, [11_000; 5]);
    }
}
