//! [`Churn`]: unused pages that the program takes back at once. Pure.

use std::time::{Duration, Instant};

/// Half of it is forgotten in this time: a purge in many seconds costs nothing worth mentioning, but what fades sooner is learned again by
/// further purges.
const HALF_LIFE: Duration = Duration::from_secs(4);
/// The part of the unused pages that is learned from one purge, though not all of them go back: learning by those cost as many faults as before.
const LEARNED: f64 = 0.5;
/// At most this share of the limit: what a cache holds is worth something as well.
const MOST: f64 = 0.45;

/// Room that a busy program needs between its allocations.
///
/// What it frees and allocates again a moment later stays with the allocator as unused pages. A purge in between gives them to the kernel, and
/// each is faulted in again. If purges in the midst of work are frequent, then the hooks hold so much that nothing is left for this; they are
/// asked for more, so that usage stays below the line where pages have to go back.
#[derive(Debug, Default)]
pub(super) struct Churn {
    learned: Option<(Instant, f64)>,
}

impl Churn {
    /// Pages have to go back while the program is at work: `unused_bytes` of them under a limit of `limit_bytes`.
    pub(super) fn purged(&mut self, now: Instant, unused_bytes: u64, limit_bytes: u64) {
        let most = limit_bytes as f64 * MOST;
        let bytes = self.faded(now) + unused_bytes as f64 * LEARNED;
        self.learned = Some((now, bytes.min(most)));
    }

    pub(super) fn bytes(&self, now: Instant) -> u64 {
        self.faded(now) as u64
    }

    fn faded(&self, now: Instant) -> f64 {
        self.learned.map_or(0.0, |(then, bytes)| {
            let age = now.saturating_duration_since(then);
            bytes * (-age.div_duration_f64(HALF_LIFE)).exp2()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_purges_teach_little_and_frequent_ones_all_there_is_to_learn() {
        let start = Instant::now();
        let after = |every_ms: u64, purges: u64| {
            let mut churn = Churn::default();
            let mut now = start;
            for _ in 0..purges {
                now += Duration::from_millis(every_ms);
                churn.purged(now, 80, 1000);
            }
            churn.bytes(now)
        };
        assert_eq!(Churn::default().bytes(start), 0);
        assert_eq!(after(0, 1), 40);
        assert_eq!(after(40_000, 20), 40);
        assert_eq!(after(4000, 20), 79);
        assert_eq!(after(100, 20), 450, "at most");
    }

    #[test]
    fn it_fades_and_a_clock_that_goes_back_adds_nothing() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut churn = Churn::default();
        churn.purged(now, u64::MAX, 1000);
        assert_eq!(churn.bytes(now), 450);
        assert_eq!(churn.bytes(now + Duration::from_secs(4)), 225);
        assert_eq!(churn.bytes(now - Duration::from_secs(5)), 450);
        assert_eq!(churn.bytes(now + Duration::from_secs(100)), 0);
    }
}
