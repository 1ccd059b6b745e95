//! [`Warned`]: which pressure was told as a warning. Pure.

use std::time::{Duration, Instant};

use crate::pressure::PressureLevel;

/// Under lasting overload a level comes and goes many times a second, and is told once in this time.
const SPACING: Duration = Duration::from_secs(1);

/// The level last told as a warning, and when.
#[derive(Debug, Default)]
pub(super) struct Warned {
    last: Option<(Instant, PressureLevel)>,
}

impl Warned {
    /// Whether a rise to `level` is to be told: not if that or a higher one just was.
    pub(super) fn rises(&mut self, now: Instant, level: PressureLevel) -> bool {
        let was_told = self
            .last
            .is_some_and(|(then, told)| level <= told && now < then + SPACING);
        if !was_told {
            self.last = Some((now, level));
        }
        !was_told
    }

    /// Pressure is over: whether that is to be told, as its begin was.
    pub(super) fn is_over(&mut self) -> bool {
        self.last.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PressureLevel::{Critical, High};

    #[test]
    fn a_level_is_told_once_a_second_a_higher_one_at_once_and_the_end_of_what_was_told() {
        let start = Instant::now();
        let mut warned = Warned::default();
        assert!(!warned.is_over());
        let table = [
            (0, High, true),
            (999, High, false),
            (1000, High, true),
            (1100, Critical, true),
            (1200, High, false),
            (1900, Critical, false),
            (2100, High, true),
        ];
        for (ms, level, told) in table {
            let now = start + Duration::from_millis(ms);
            assert_eq!(warned.rises(now, level), told, "{ms}");
        }
        assert!(warned.is_over() && !warned.is_over());
        assert!(warned.rises(start, High), "new pressure is new");
    }
}
