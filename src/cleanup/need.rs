//! Whether a cleanup is needed. Pure.

use crate::cleanup::CleanupReason;
use crate::usage::{Bound, Usage};

/// A cleanup above the High line aims this many points below it, or it would start again at once.
const TARGET_BELOW_LINE_PERCENT: f64 = 10.0;

/// The lines of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub(crate) max_memory_percent: f64,
    pub(crate) cleanup_threshold_bytes: u64,
}

impl Lines {
    pub(crate) fn is_high(&self, usage: &Usage) -> bool {
        usage
            .percent()
            .is_some_and(|percent| percent > self.max_memory_percent)
    }

    /// What may be used of `bound` up to the High line.
    pub(crate) fn line_bytes(&self, bound: &Bound) -> u64 {
        (bound.limit_bytes as f64 * self.max_memory_percent / 100.0) as u64
    }

    /// Bytes that `bound` is below the High line.
    pub(crate) fn left_bytes(&self, bound: &Bound) -> u64 {
        self.line_bytes(bound).saturating_sub(bound.used_bytes)
    }

    /// Bytes from `bound` down to the point a cleanup aims at.
    pub(crate) fn target_bytes(&self, bound: &Bound) -> u64 {
        let percent = (self.max_memory_percent - TARGET_BELOW_LINE_PERCENT).max(0.0);
        let aim_bytes = (bound.limit_bytes as f64 * percent / 100.0) as u64;
        bound.used_bytes.saturating_sub(aim_bytes)
    }
}

/// Why a cleanup is needed now, if it is: above the High line, or RSS grown past the threshold since the last cleanup.
pub(crate) fn need(lines: &Lines, usage: &Usage, last_rss_bytes: u64) -> Option<CleanupReason> {
    if lines.is_high(usage) {
        return Some(CleanupReason::AbovePercent);
    }
    let growth_bytes = usage.rss_bytes.saturating_sub(last_rss_bytes);
    (growth_bytes > lines.cleanup_threshold_bytes).then_some(CleanupReason::Growth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Limit, LimitSource};

    const LINES: Lines = Lines {
        max_memory_percent: 80.0,
        cleanup_threshold_bytes: 100,
    };

    fn usage(rss_bytes: u64, limit_bytes: Option<u64>) -> Usage {
        Usage {
            rss_bytes,
            virtual_bytes: None,
            swap_bytes: None,
            peak_rss_bytes: rss_bytes,
            used_bytes: rss_bytes,
            heap: None,
            limit: Limit::UNKNOWN,
            binding: limit_bytes.map(|limit_bytes| Bound {
                limit_bytes,
                used_bytes: rss_bytes,
                source: LimitSource::Builder,
            }),
            all_limits_known: true,
            system_total_bytes: None,
            system_available_bytes: None,
            slow_facts_age_ms: 0,
        }
    }

    #[test]
    fn above_the_line_or_grown_past_the_threshold() {
        let (above, grown) = (
            Some(CleanupReason::AbovePercent),
            Some(CleanupReason::Growth),
        );
        let table = [
            (800, Some(1000), 800, None),
            (801, Some(1000), 801, above),
            (801, Some(1000), 0, above),
            (600, Some(1000), 500, None),
            (601, Some(1000), 500, grown),
            (400, Some(1000), 500, None),
            (5000, None, 4950, None),
            (5000, None, 0, grown),
        ];
        for (rss, limit, last, expected) in table {
            assert_eq!(
                need(&LINES, &usage(rss, limit), last),
                expected,
                "{rss} {limit:?} {last}"
            );
        }
    }

    #[test]
    fn the_target_leads_ten_points_below_the_line() {
        let target = |used_bytes, max_memory_percent| {
            Lines {
                max_memory_percent,
                ..LINES
            }
            .target_bytes(&Bound {
                limit_bytes: 1000,
                used_bytes,
                source: LimitSource::Builder,
            })
        };
        assert_eq!(target(900, 80.0), 200);
        assert_eq!(target(600, 80.0), 0);
        assert_eq!(target(900, 5.0), 900);
    }
}
