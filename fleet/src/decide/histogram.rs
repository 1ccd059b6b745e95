//! [`Histogram`]: sizes in buckets that grow by 5 %, whose weights fade.

use serde::{Deserialize, Serialize};

/// The first bucket holds all below 10 MB, each next one is 5 % wider, the last begins below 1 TB.
const FIRST_BYTES: f64 = 1e7;
const GROWTH: f64 = 1.05;
const BUCKETS: usize = 176;
/// Weights are kept relative to a moment; it moves on before they grow out of an `f32`.
const MAX_HALVINGS: f64 = 60.0;
/// Less than this is what subtraction left over.
const NO_WEIGHT: f32 = 1e-4;

/// Sizes in exponential buckets, whose weights halve once per half-life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    half_life_s: u64,
    since_s: u64,
    weights: Vec<f32>,
}

impl Histogram {
    pub fn new(half_life_s: u64) -> Histogram {
        Histogram {
            half_life_s: half_life_s.max(1),
            since_s: 0,
            weights: vec![0.0; BUCKETS],
        }
    }

    /// One sample more.
    pub fn add(&mut self, bytes: u64, at_s: u64) {
        let weight = self.weight(at_s);
        if let Some(bucket) = self.weights.get_mut(bucket(bytes)) {
            *bucket += weight;
        }
    }

    /// Takes back a sample that was added with the same moment.
    pub fn subtract(&mut self, bytes: u64, at_s: u64) {
        let weight = self.weight(at_s);
        if let Some(bucket) = self.weights.get_mut(bucket(bytes)) {
            *bucket -= weight;
            if *bucket < NO_WEIGHT {
                *bucket = 0.0;
            }
        }
    }

    /// Where the bucket ends below which lies so much of the weight; `None`: it is empty.
    pub fn percentile_bytes(&self, fraction: f64) -> Option<u64> {
        let total: f32 = self.weights.iter().sum();
        if total < NO_WEIGHT {
            return None;
        }
        let threshold = total * fraction as f32;
        let mut below = 0.0;
        let found = self.weights.iter().position(|weight| {
            below += weight;
            below >= threshold && *weight > 0.0
        });
        let last = self.weights.iter().rposition(|weight| *weight > 0.0);
        found.or(last).map(end_bytes)
    }

    pub fn heap_bytes(&self) -> usize {
        self.weights.capacity() * size_of::<f32>()
    }

    /// Samples weigh twice as much for each half-life that they came later.
    fn weight(&mut self, at_s: u64) -> f32 {
        let halvings =
            |from_s: u64, half_life_s: u64| (at_s as f64 - from_s as f64) / half_life_s as f64;
        if self.since_s == 0 {
            self.since_s = at_s;
        }
        let passed = halvings(self.since_s, self.half_life_s);
        if passed > MAX_HALVINGS {
            let faded = (-passed).exp2() as f32;
            for weight in &mut self.weights {
                *weight *= faded;
                if *weight < NO_WEIGHT {
                    *weight = 0.0;
                }
            }
            self.since_s = at_s;
            return 1.0;
        }
        // A clock that went back by years: what comes now weighs little, and is not nothing.
        passed.max(-10.0).exp2() as f32
    }
}

/// Buckets end at FIRST x (1 + g + g^2 + ..): each is 5 % wider than the one before.
fn bucket(bytes: u64) -> usize {
    let wide = 1.0 + bytes as f64 * (GROWTH - 1.0) / FIRST_BYTES;
    ((wide.ln() / GROWTH.ln()) as usize).min(BUCKETS - 1)
}

fn end_bytes(bucket: usize) -> u64 {
    let widths = (GROWTH.powi(bucket as i32 + 1) - 1.0) / (GROWTH - 1.0);
    (FIRST_BYTES * widths) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;

    #[test]
    fn each_size_is_in_the_bucket_that_ends_above_it() {
        for bytes in [
            0,
            1,
            9_999_999,
            10_000_001,
            1 << 28,
            1 << 33,
            400_000_000_000,
        ] {
            let bucket = bucket(bytes);
            assert!(end_bytes(bucket) >= bytes, "{bytes}");
            let begins = bucket.checked_sub(1).map_or(0, end_bytes);
            assert!(begins <= bytes, "{bytes}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn the_percentile_is_where_the_weight_is() {
        let mut histogram = Histogram::new(DAY_S);
        assert_eq!(histogram.percentile_bytes(0.9), None);
        for _ in 0..89 {
            histogram.add(1 << 30, 1000);
        }
        for _ in 0..11 {
            histogram.add(4 << 30, 1000);
        }
        assert_eq!(
            histogram.percentile_bytes(0.5),
            Some(end_bytes(bucket(1 << 30)))
        );
        assert_eq!(
            histogram.percentile_bytes(0.9),
            Some(end_bytes(bucket(4 << 30)))
        );
    }

    #[test]
    fn what_is_old_fades() {
        let mut histogram = Histogram::new(DAY_S);
        histogram.add(4 << 30, 1000);
        histogram.add(1 << 30, 1000 + 4 * DAY_S);
        // 1 part of 17 is old: below a tenth.
        assert_eq!(
            histogram.percentile_bytes(0.9),
            Some(end_bytes(bucket(1 << 30)))
        );
        // Years later the numbers are still numbers.
        histogram.add(2 << 30, 1000 + 4000 * DAY_S);
        assert_eq!(
            histogram.percentile_bytes(0.01),
            Some(end_bytes(bucket(2 << 30)))
        );
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut histogram = Histogram::new(DAY_S);
        histogram.add(1 << 30, 5 * DAY_S);
        histogram.subtract(1 << 30, 5 * DAY_S);
        assert_eq!(histogram.percentile_bytes(0.9), None);
    }
}
