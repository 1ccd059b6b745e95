//! [`Histogram`]: how many calls peaked how high. A copy, and pure.

use super::bucket::{BUCKETS, Bucket};
use super::suggestion::{Suggestion, suggested_limit_bytes};

/// The calls of one line by the bucket of their peak.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    calls: [u64; BUCKETS],
    /// Calls that the ledger had no room to keep by bucket.
    unsorted_calls: u64,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Histogram {
            calls: [0; BUCKETS],
            unsorted_calls: 0,
        }
    }

    pub(super) fn add(&mut self, bucket: Bucket, calls: u64) {
        self.calls[bucket.number()] += calls;
    }

    pub(super) fn add_unsorted(&mut self, calls: u64) {
        self.unsorted_calls += calls;
    }

    /// All calls, in a bucket or not.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.iter().sum::<u64>() + self.unsorted_calls
    }

    #[cfg(test)]
    pub(super) fn calls_by_bucket(&self) -> &[u64; BUCKETS] {
        &self.calls
    }

    /// The upper edge of the bucket with the peak that the share `q` of all calls did not pass: at least that peak, and at
    /// most an eighth above it from 1 KiB on. `None` without calls, and when some are in no bucket.
    pub(crate) fn quantile_bytes(&self, q: f64) -> Option<u64> {
        let calls = self.calls();
        if calls == 0 || self.unsorted_calls > 0 {
            return None;
        }
        // As `f64` to `u64` saturates, any `q` is good: below 0 and NaN are the lowest peak, above 1 is the highest.
        let rank = ((q * calls as f64).ceil() as u64).clamp(1, calls);
        let mut so_far = 0;
        let number = self.calls.iter().position(|&calls| {
            so_far += calls;
            so_far >= rank
        })?;
        Some(Bucket::from_number(number).upper_bytes())
    }

    /// A limit that leaves the highest 1 % of calls out, with room above the rest. `None` as for a quantile.
    pub(crate) fn suggested_limit_bytes(&self) -> Option<u64> {
        self.quantile_bytes(0.99).map(suggested_limit_bytes)
    }

    /// The same limit, and what it is drawn from.
    pub(crate) fn suggestion(&self) -> Option<Suggestion> {
        Some(Suggestion {
            calls: self.calls(),
            p99_bytes: self.quantile_bytes(0.99)?,
            limit_bytes: self.suggested_limit_bytes()?,
        })
    }
}
