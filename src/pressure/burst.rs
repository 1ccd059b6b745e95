//! [`Burst`]: a short peak may pass a line without raising the level. Pure.

use std::time::Duration;

/// Paid back from empty to full in this time below the line.
const REFILL_SECONDS: f64 = 30.0;

/// A budget in byte-seconds: so many bytes above the line for so long, or half as many for twice as long.
///
/// Worked example: 64 MiB for 2 s are 128 MiB·s. A peak 32 MiB above the line may last 4 s; the next such peak has the whole
/// budget again 30 s after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    budget_byte_seconds: f64,
    spent_byte_seconds: f64,
}

impl Burst {
    pub(crate) fn new(budget_byte_seconds: f64) -> Self {
        Burst {
            budget_byte_seconds,
            spent_byte_seconds: 0.0,
        }
    }

    /// `elapsed` has passed with usage `over_bytes` above the line (0: below it); whether the budget covers that.
    pub(crate) fn covers(&mut self, over_bytes: u64, elapsed: Duration) -> bool {
        if self.budget_byte_seconds <= 0.0 {
            return false;
        }
        let seconds = elapsed.as_secs_f64();
        self.spent_byte_seconds = if over_bytes == 0 {
            let refill = self.budget_byte_seconds * seconds / REFILL_SECONDS;
            (self.spent_byte_seconds - refill).max(0.0)
        } else {
            let spent = self.spent_byte_seconds + over_bytes as f64 * seconds;
            spent.min(self.budget_byte_seconds)
        };
        self.spent_byte_seconds < self.budget_byte_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_peak_lasts_as_long_as_its_height_allows() {
        let mut burst = Burst::new(128.0);
        assert!([true, true, true, false] == std::array::from_fn(|_| burst.covers(32, SECOND)));
        let mut burst = Burst::new(128.0);
        assert!([true, false] == std::array::from_fn(|_| burst.covers(64, SECOND)));
    }

    #[test]
    fn time_below_the_line_pays_back() {
        let mut burst = Burst::new(128.0);
        assert!(!burst.covers(1000, SECOND));
        assert!(burst.covers(0, SECOND * 15));
        assert!(burst.covers(60, SECOND));
        assert!(!burst.covers(60, SECOND));
        burst.covers(0, SECOND * 3600);
        assert!(burst.covers(127, SECOND), "no more than full");
        assert!(!burst.covers(1, SECOND));
    }

    #[test]
    fn without_a_budget_nothing_is_covered() {
        assert!(!Burst::new(0.0).covers(0, SECOND));
        assert!(!Burst::new(0.0).covers(1, Duration::ZERO));
    }
}
