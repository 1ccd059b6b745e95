//! [`Lines`]: where the levels begin and end, in percent of the limit. Pure.

use crate::pressure::PressureLevel;
use crate::usage::Bound;

/// Where a level ends, in parts of the line at which it begins (75 percent for 80): or it would flap.
const END: f64 = 15.0 / 16.0;
/// Where a cleanup aims (72 percent for 80): below the end, or the level would begin again at once.
const AIM: f64 = 9.0 / 10.0;
/// Where unused pages go back, in parts of the way from Elevated to High.
const PURGE: f64 = 19.0 / 20.0;

/// Where Elevated, High and Critical begin: each above the one before, the last at most 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lines {
    pub(crate) elevated_percent: f64,
    pub(crate) high_percent: f64,
    pub(crate) critical_percent: f64,
}

impl Lines {
    /// The guide's High line, and those around it.
    pub(crate) const DEFAULT: Lines = Lines::around(80.0);

    /// The lines around a High line that was said alone: 70 and 90 for 80.
    pub(crate) const fn around(high_percent: f64) -> Self {
        Lines {
            elevated_percent: high_percent * 7.0 / 8.0,
            high_percent,
            critical_percent: (high_percent + 100.0) / 2.0,
        }
    }

    /// Whether each begins above the one before.
    pub(crate) fn are_in_order(&self) -> bool {
        self.elevated_percent < self.high_percent && self.high_percent <= self.critical_percent
    }

    /// The level that begins at or below `percent`.
    pub(crate) fn level(&self, percent: f64) -> PressureLevel {
        match percent {
            p if p > self.critical_percent => PressureLevel::Critical,
            p if p > self.high_percent => PressureLevel::High,
            p if p > self.elevated_percent => PressureLevel::Elevated,
            _ => PressureLevel::Normal,
        }
    }

    /// The highest level that does not end at `percent`.
    pub(crate) fn level_that_holds(&self, percent: f64) -> PressureLevel {
        self.level(percent / END)
    }

    /// Where `level` begins; Normal begins at 0.
    pub(crate) fn begin_percent(&self, level: PressureLevel) -> f64 {
        match level {
            PressureLevel::Normal => 0.0,
            PressureLevel::Elevated => self.elevated_percent,
            PressureLevel::High => self.high_percent,
            PressureLevel::Critical => self.critical_percent,
        }
    }

    /// Where pages that the allocator holds and nobody uses have to go back: just below where threads are braked (79.5 percent for 80).
    pub(crate) fn purge_percent(&self) -> f64 {
        self.elevated_percent + PURGE * (self.high_percent - self.elevated_percent)
    }

    /// Bytes that `bound` is below that; 0 when it is above.
    pub(crate) fn left_to_purge_bytes(&self, bound: &Bound) -> u64 {
        bytes(bound, self.purge_percent()).saturating_sub(bound.used_bytes)
    }

    /// Used bytes at which `level` begins for `bound`.
    pub(crate) fn begin_bytes(&self, bound: &Bound, level: PressureLevel) -> u64 {
        bytes(bound, self.begin_percent(level))
    }

    /// Bytes that `bound` is below the beginning of `level`; 0 when it is above.
    pub(crate) fn left_bytes(&self, bound: &Bound, level: PressureLevel) -> u64 {
        bytes(bound, self.begin_percent(level)).saturating_sub(bound.used_bytes)
    }

    /// Bytes that `bound` is above the beginning of `level`.
    pub(crate) fn over_bytes(&self, bound: &Bound, level: PressureLevel) -> u64 {
        bound
            .used_bytes
            .saturating_sub(bytes(bound, self.begin_percent(level)))
    }

    /// Bytes that `bound` is below the next line above it; `None` above the last.
    pub(crate) fn left_to_next_bytes(&self, bound: &Bound) -> Option<u64> {
        let percent = bound.percent();
        let next = PressureLevel::ALL
            .into_iter()
            .find(|&level| self.begin_percent(level) >= percent && level > PressureLevel::Normal)?;
        Some(self.left_bytes(bound, next))
    }

    /// Used bytes below which nothing is refused. No pages have to go back there either.
    pub(crate) fn work_goes_on_bytes(&self, bound: &Bound) -> u64 {
        bytes(bound, self.high_percent * END)
    }

    /// Where a cleanup aims that is to lead `bound` into the level below; `None` where Normal holds.
    pub(crate) fn aim_bytes(&self, bound: &Bound) -> Option<u64> {
        let percent = bound.percent();
        let level = match self.level(percent) {
            // Where Elevated still holds, its end is the aim.
            PressureLevel::Normal => self.level_that_holds(percent),
            level => level,
        };
        (level > PressureLevel::Normal).then(|| bytes(bound, self.begin_percent(level) * AIM))
    }
}

fn bytes(bound: &Bound, percent: f64) -> u64 {
    (bound.limit_bytes as f64 * percent / 100.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::LimitSource;
    use PressureLevel::{Critical, Elevated, High, Normal};

    const LINES: Lines = Lines {
        elevated_percent: 70.0,
        high_percent: 80.0,
        critical_percent: 90.0,
    };

    fn bound(used_bytes: u64) -> Bound {
        Bound {
            limit_bytes: 1000,
            used_bytes,
            source: LimitSource::Builder,
        }
    }

    #[test]
    fn a_level_begins_above_its_line() {
        assert_eq!(Lines::DEFAULT, LINES);
        let table = [
            (0, Normal, Some(700), None),
            (656, Normal, Some(44), None),
            (700, Normal, Some(0), Some(630)),
            (701, Elevated, Some(99), Some(630)),
            (800, Elevated, Some(0), Some(630)),
            (801, High, Some(99), Some(720)),
            (901, Critical, None, Some(810)),
            (2000, Critical, None, Some(810)),
        ];
        for (used, level, left, aim) in table {
            let bound = bound(used);
            assert_eq!(LINES.level(bound.percent()), level, "{used}");
            assert_eq!(LINES.left_to_next_bytes(&bound), left, "{used}");
            assert_eq!(LINES.aim_bytes(&bound), aim, "{used}");
        }
        assert_eq!(LINES.left_bytes(&bound(750), High), 50);
        assert_eq!(LINES.left_bytes(&bound(850), High), 0);
    }

    #[test]
    fn lines_near_the_ends_stay_in_order() {
        for high in [0.1, 1.0, 50.0, 99.9, 100.0] {
            let lines = Lines::around(high);
            assert!(lines.are_in_order() && lines.critical_percent <= 100.0);
        }
        // Pages go back above the end of High, or they would keep it by themselves.
        let mut far = LINES;
        far.elevated_percent = 0.0;
        let goes_on_bytes = far.work_goes_on_bytes(&bound(0));
        assert!(far.left_to_purge_bytes(&bound(goes_on_bytes)) > 0);
        let low = Lines::around(1.0);
        assert_eq!(low.aim_bytes(&bound(500)), Some(9));
        assert_eq!(low.level_that_holds(0.8), Normal);
        assert_eq!(low.level_that_holds(0.9), Elevated);
    }
}
