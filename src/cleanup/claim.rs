//! [`Claim`]: what a hook said last, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After that it says nothing about now.
const HOLDS: Duration = Duration::from_secs(5);
const UNKNOWN: u64 = u64::MAX;

/// Relaxed is enough: a figure of a moment that is beside the time of another is one of these five seconds all the same.
pub(crate) struct Claim {
    made: Instant,
    bytes: AtomicU64,
    at_ms: AtomicU64,
}

impl Claim {
    pub(crate) fn new() -> Self {
        Claim {
            made: Instant::now(),
            bytes: AtomicU64::new(UNKNOWN),
            at_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self, bytes: Option<u64>) {
        let age_ms = self.made.elapsed().as_millis() as u64;
        self.at_ms.store(age_ms, Ordering::Relaxed);
        self.bytes
            .store(bytes.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// `None` when it said nothing, or too long ago.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last_at(self.made.elapsed())
    }

    fn last_at(&self, age: Duration) -> Option<u64> {
        let at = Duration::from_millis(self.at_ms.load(Ordering::Relaxed));
        let bytes = self.bytes.load(Ordering::Relaxed);
        (bytes != UNKNOWN && age.saturating_sub(at) <= HOLDS).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_holds_for_a_while() {
        let claim = Claim::new();
        let after = |seconds| claim.last_at(claim.made.elapsed() + Duration::from_secs(seconds));
        assert_eq!(after(0), None);
        claim.now(Some(7));
        assert_eq!((after(0), after(4), after(6)), (Some(7), Some(7), None));
        claim.now(None);
        assert_eq!(after(0), None);
    }
}
