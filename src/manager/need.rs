//! Whether a cleanup is needed. Pure.

use crate::cleanup::CleanupReason;
use crate::manager::config::Config;
use crate::pressure::PressureLevel;
use crate::usage::Usage;

/// The level that usage alone asks for, without hysteresis.
pub(super) fn level_by_use(config: &Config, usage: &Usage) -> PressureLevel {
    usage
        .percent()
        .map_or(PressureLevel::Normal, |percent| config.lines.level(percent))
}

/// Why a cleanup that somebody asked for is needed now: above the High line, or RSS grown past the threshold since the last one.
pub(super) fn when_asked(
    config: &Config,
    usage: &Usage,
    last_rss_bytes: u64,
) -> Option<CleanupReason> {
    if level_by_use(config, usage) >= PressureLevel::High {
        return Some(CleanupReason::AbovePercent);
    }
    let growth_bytes = usage.rss_bytes.saturating_sub(last_rss_bytes);
    (growth_bytes > config.cleanup_threshold_bytes).then_some(CleanupReason::Growth)
}

/// Why one that nobody asked for is: above the Elevated line, or, while `level` holds, above where it ends.
pub(super) fn by_itself(
    config: &Config,
    usage: &Usage,
    level: Option<PressureLevel>,
) -> Option<CleanupReason> {
    let percent = usage.percent().filter(|_| config.reactions.cleanup)?;
    let is_above = config.lines.level(percent) > PressureLevel::Normal;
    let keeps_level = level.is_some_and(|level| level > PressureLevel::Normal)
        && config.lines.level_that_holds(percent) > PressureLevel::Normal;
    (is_above || keeps_level).then_some(CleanupReason::Pressure)
}

/// Bytes to ask hooks for; `u64::MAX` for all that can be spared.
pub(super) fn target_bytes(config: &Config, reason: CleanupReason, usage: &Usage) -> u64 {
    match (reason, &usage.binding) {
        (CleanupReason::Forced, _) | (_, None) => u64::MAX,
        (_, Some(bound)) => config.lines.target_bytes(bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Bound, Limit, LimitSource};
    use CleanupReason::{AbovePercent, Forced, Growth, Pressure};

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
    fn asked_for_it_takes_the_high_line_or_growth_and_by_itself_the_elevated_line() {
        let config = Config {
            cleanup_threshold_bytes: 100,
            ..Config::DEFAULT
        };
        let table = [
            (700, Some(1000), 700, None, None),
            (701, Some(1000), 701, None, Some(Pressure)),
            (800, Some(1000), 800, None, Some(Pressure)),
            (801, Some(1000), 801, Some(AbovePercent), Some(Pressure)),
            (801, Some(1000), 0, Some(AbovePercent), Some(Pressure)),
            (300, Some(1000), 200, None, None),
            (301, Some(1000), 200, Some(Growth), None),
            (100, Some(1000), 5000, None, None),
            (5000, None, 4950, None, None),
            (5000, None, 0, Some(Growth), None),
        ];
        for (rss, limit, last, asked, alone) in table {
            let usage = usage(rss, limit);
            assert_eq!(when_asked(&config, &usage, last), asked, "{rss} {last}");
            assert_eq!(by_itself(&config, &usage, None), alone, "{rss}");
        }
        let held = |rss, level| by_itself(&config, &usage(rss, Some(1000)), Some(level));
        assert_eq!(held(660, PressureLevel::Elevated), Some(Pressure));
        assert_eq!(held(660, PressureLevel::Normal), None);
        assert_eq!(held(650, PressureLevel::Critical), None);
        let mut config = config;
        config.reactions.cleanup = false;
        assert_eq!(by_itself(&config, &usage(801, Some(1000)), None), None);
    }

    #[test]
    fn forced_asks_for_all_and_pressure_for_what_leads_to_the_level_below() {
        let config = Config::DEFAULT;
        let target = |reason, rss, limit| target_bytes(&config, reason, &usage(rss, limit));
        assert_eq!(target(Forced, 801, Some(1000)), u64::MAX);
        assert_eq!(target(Growth, 801, None), u64::MAX);
        assert_eq!(target(Pressure, 801, Some(1000)), 81);
        assert_eq!(target(AbovePercent, 710, Some(1000)), 80);
        assert_eq!(target(Growth, 500, Some(1000)), 0);
    }
}
