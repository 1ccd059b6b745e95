//! [`Lasting`]: whether pressure is more than a peak, and of a kind that unused pages could ease. Pure.

use std::time::{Duration, Instant};

use crate::pressure::PressureLevel;

/// Pressure that has lasted for so long is no peak any more.
const SUSTAINED: Duration = Duration::from_secs(5);

/// How long there has been pressure in which nothing churns.
#[derive(Debug, Default)]
pub(super) struct Lasting {
    since: Option<Instant>,
}

impl Lasting {
    /// Whether pages that the program frees are to go back sooner: pressure has lasted, and it was not of the kind where they are taken
    /// again at once. Those would only be faulted in again, and cleanups keep such a program below its lines as it is.
    pub(super) fn observe(
        &mut self,
        now: Instant,
        level: PressureLevel,
        is_churning: bool,
    ) -> bool {
        if level == PressureLevel::Normal || is_churning {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_duration_since(since) >= SUSTAINED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PressureLevel::{Critical, Elevated, High, Normal};

    #[test]
    fn pressure_lasts_after_five_seconds_in_which_nothing_churns() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut lasting = Lasting::default();
        // seconds, level, churning, lasts
        let table = [
            (0, Elevated, false, false),
            (4, High, false, false),
            (5, Critical, false, true),
            // A clock that goes back.
            (3, Elevated, false, false),
            (6, Elevated, false, true),
            (7, Normal, false, false),
            (8, Elevated, false, false),
            (12, Elevated, false, false),
            (13, Elevated, false, true),
            (14, Elevated, true, false),
            (30, Elevated, true, false),
            (31, Elevated, false, false),
            (36, Elevated, false, true),
        ];
        for (second, level, is_churning, lasts) in table {
            let now = start + Duration::from_secs(second);
            assert_eq!(lasting.observe(now, level, is_churning), lasts, "{second}");
        }
    }
}
