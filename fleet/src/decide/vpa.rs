//! [`Peaks`]: what Kubernetes' recommender would set.
//!
//! As its public documentation describes it (kubernetes/autoscaler, `vertical-pod-autoscaler/docs/flags.md`): one sample per
//! interval of 24 hours, the peak of that interval; a histogram of these with a half-life of 24 hours; of it the 90th
//! percentile, and 15 % more; after a kill a sample of what was there x 1.2, or 100 MiB more if that is more. The recommender
//! leaves it to others when a recommendation is applied; here that is at once, as a resize in place allows.

use serde::{Deserialize, Serialize};

use crate::decide::bump::bumped_bytes;
use crate::decide::histogram::Histogram;

const INTERVAL_S: u64 = 24 * 3600;
const HALF_LIFE_S: u64 = 24 * 3600;
const PERCENTILE: f64 = 0.9;
const MARGIN: f64 = 1.15;

/// One peak per day, in a histogram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    histogram: Histogram,
    interval_began_s: u64,
    /// Of this interval; it is in the histogram.
    peak_bytes: Option<u64>,
}

impl Peaks {
    pub fn new() -> Peaks {
        Peaks {
            histogram: Histogram::new(HALF_LIFE_S),
            interval_began_s: 0,
            peak_bytes: None,
        }
    }

    pub fn observe(&mut self, at_s: u64, used_bytes: u64) {
        // Also when the clock went back by more than an interval; less than that is still this one.
        if at_s.abs_diff(self.interval_began_s) >= INTERVAL_S || self.peak_bytes.is_none() {
            self.interval_began_s = at_s;
            self.peak_bytes = None;
        }
        self.raise(used_bytes);
    }

    pub fn killed(&mut self, at_s: u64, limit_bytes: u64) {
        if self.peak_bytes.is_none() {
            self.interval_began_s = at_s;
        }
        let basis_bytes = limit_bytes.max(self.peak_bytes.unwrap_or(0));
        self.raise(bumped_bytes(basis_bytes));
    }

    /// `None`: nothing was seen yet.
    pub fn recommended_bytes(&self) -> Option<u64> {
        let percentile = self.histogram.percentile_bytes(PERCENTILE)?;
        Some((percentile as f64 * MARGIN) as u64)
    }

    pub fn heap_bytes(&self) -> usize {
        self.histogram.heap_bytes()
    }

    fn raise(&mut self, to_bytes: u64) {
        match self.peak_bytes {
            Some(peak) if peak >= to_bytes => return,
            Some(peak) => self.histogram.subtract(peak, self.interval_began_s),
            None => {}
        }
        self.histogram.add(to_bytes, self.interval_began_s);
        self.peak_bytes = Some(to_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_peak_is_kept_for_its_day_and_fades_in_the_days_after() {
        let mut peaks = Peaks::new();
        assert_eq!(peaks.recommended_bytes(), None);
        let mut now_s = 1_700_000_000;
        peaks.observe(now_s, GIB);
        let calm = peaks.recommended_bytes().unwrap();
        assert!((GIB * 115 / 100..GIB * 121 / 100).contains(&calm), "{calm}");
        peaks.observe(now_s + 60, 4 * GIB);
        peaks.observe(now_s + 120, GIB);
        assert!(peaks.recommended_bytes().unwrap() > 4 * GIB);
        // A sample of n days ago weighs a part in 2^n of today's: below a tenth after four.
        for _ in 0..5 {
            now_s += INTERVAL_S;
            peaks.observe(now_s, GIB);
        }
        assert_eq!(peaks.recommended_bytes(), Some(calm));
    }

    #[test]
    fn a_kill_is_a_sample_above_what_was_there() {
        let mut peaks = Peaks::new();
        peaks.observe(1_700_000_000, 200 << 20);
        peaks.killed(1_700_000_010, 256 << 20);
        assert!(peaks.recommended_bytes().unwrap() >= (356 << 20) * 115 / 100);
    }
}
