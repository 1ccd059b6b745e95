//! [`Histogram`]: durations, to 3 percent, in a table that never grows.

use std::time::Duration;

use plimsoll_survival::Latency;

/// Steps in which each octave is told apart.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^41 ns: 36 minutes.
const BUCKETS: usize = (STEPS as usize) * (41 - STEP_BITS as usize);

pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Histogram {
            counts: vec![0; BUCKETS].into(),
            count: 0,
        }
    }

    pub fn record(&mut self, duration: Duration) {
        self.counts[bucket(duration.as_nanos() as u64)] += 1;
        self.count += 1;
    }

    pub fn add(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    pub fn latency(&self) -> Latency {
        Latency {
            count: self.count,
            p50_us: self.quantile_us(0.50),
            p99_us: self.quantile_us(0.99),
        }
    }

    /// The upper end of the bucket in which it lies.
    fn quantile_us(&self, quantile: f64) -> Option<f64> {
        let rank = ((self.count as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|&count| {
            seen += count;
            seen >= rank
        })?;
        Some(lower_end_ns(found as u64 + 1) as f64 / 1000.0)
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let octave = ns.ilog2() - STEP_BITS;
    let step = (ns >> octave) - STEPS;
    let bucket = (u64::from(octave) + 1) * STEPS + step;
    (bucket as usize).min(BUCKETS - 1)
}

fn lower_end_ns(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket;
    }
    let octave = bucket / STEPS - 1;
    (STEPS + bucket % STEPS) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_begins_where_it_says() {
        for n in 0..BUCKETS as u64 {
            assert_eq!(bucket(lower_end_ns(n)) as u64, n);
            assert_eq!(bucket(lower_end_ns(n + 1) - 1) as u64, n);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_right_to_three_percent() {
        let mut histogram = Histogram::new();
        for us in 1..=500 {
            histogram.record(Duration::from_micros(us));
        }
        let mut other = Histogram::new();
        for us in 501..=1000 {
            other.record(Duration::from_micros(us));
        }
        histogram.add(&other);
        let latency = histogram.latency();
        assert_eq!(latency.count, 1000);
        assert!(
            (500.0..=517.0).contains(&latency.p50_us.unwrap()),
            "{latency:?}"
        );
        assert!(
            (990.0..=1022.0).contains(&latency.p99_us.unwrap()),
            "{latency:?}"
        );
        assert_eq!(Histogram::new().latency(), Latency::default());
    }
}
