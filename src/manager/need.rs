//! Whether a cleanup is needed, and which. Pure.
//!
//! What a hook frees stays with the allocator first, as unused pages that the next allocation takes. To give them back at once and
//! fault them in again a moment later costs a busy program up to half of its speed. So from the Elevated line on hooks are asked by what
//! is *in use*, and unused pages go back when usage as a whole comes close to the High line, and ten times a second.

use crate::cleanup::{CleanupReason, Order};
use crate::manager::config::Config;
use crate::pressure::PressureLevel;
use crate::usage::{Bound, Usage};

/// Less than one part in so many of the limit is not worth a purge at a tick.
const WORTH_PURGING_SHARE: u64 = 100;

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

/// One that nobody asked for. At a tick (`holding`: the level that holds then) also while usage is below the line, and would keep the
/// level from ending.
pub(super) fn by_itself(
    config: &Config,
    usage: &Usage,
    holding: Option<PressureLevel>,
) -> Option<Order> {
    let bound = usage.binding.filter(|_| config.reactions.cleanup)?;
    let lines = &config.lines;
    let is_holding = holding.is_some_and(|level| level > PressureLevel::Normal);
    let is_pressed = |bound: Bound| {
        let percent = bound.percent();
        lines.level(percent) > PressureLevel::Normal
            || is_holding && lines.level_that_holds(percent) > PressureLevel::Normal
    };
    let unused_bytes = usage.heap.map_or(0, |heap| heap.dirty_bytes);
    let is_worth_it = unused_bytes >= bound.limit_bytes / WORTH_PURGING_SHARE;
    let call_hooks = is_pressed(in_use(&bound, usage));
    // Without figures of the heap nobody knows what is unused.
    let purge = if usage.heap.is_some() {
        bound.percent() > lines.purge_percent() || is_holding && is_worth_it && is_pressed(bound)
    } else {
        call_hooks
    };
    (call_hooks || purge).then_some(Order {
        reason: CleanupReason::Pressure,
        call_hooks,
        purge,
    })
}

/// `bound` without the pages that the allocator holds and nobody uses. Some of them may not be in memory at all, then this is too low:
/// until the next purge, which leaves none.
pub(super) fn in_use(bound: &Bound, usage: &Usage) -> Bound {
    let unused_bytes = usage.heap.map_or(0, |heap| heap.dirty_bytes);
    Bound {
        used_bytes: bound.used_bytes.saturating_sub(unused_bytes),
        ..*bound
    }
}

/// Bytes to ask hooks for; `u64::MAX` for all that can be spared.
pub(super) fn target_bytes(config: &Config, reason: CleanupReason, usage: &Usage) -> u64 {
    match (reason, &usage.binding) {
        (CleanupReason::Forced, _) | (_, None) => u64::MAX,
        (_, Some(bound)) => config.lines.target_bytes(&in_use(bound, usage)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::fake::{usage, with_unused};
    use CleanupReason::{AbovePercent, Forced, Growth, Pressure};

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
            let order = by_itself(&config, &usage, None);
            assert_eq!(order.map(|order| order.reason), alone, "{rss}");
            // Without a heap to ask, whatever hooks free is given back.
            assert!(order.is_none_or(|order| order.call_hooks && order.purge));
        }
        let held = |rss, level| by_itself(&config, &usage(rss, Some(1000)), Some(level)).is_some();
        assert!(held(660, PressureLevel::Elevated));
        assert!(!held(660, PressureLevel::Normal));
        assert!(!held(650, PressureLevel::Critical));
        let mut config = config;
        config.reactions.cleanup = false;
        assert_eq!(by_itself(&config, &usage(801, Some(1000)), None), None);
    }

    #[test]
    fn hooks_are_asked_by_what_is_in_use_and_pages_go_back_near_the_high_line_or_at_a_tick() {
        let config = Config::DEFAULT;
        let order = |used, unused, tick: bool| {
            let usage = with_unused(usage(used, Some(1000)), unused);
            let holding = tick.then_some(PressureLevel::Elevated);
            by_itself(&config, &usage, holding).map(|order| (order.call_hooks, order.purge))
        };
        // used, unused, at once, at a tick
        let table = [
            (700, 0, None, Some((true, false))),
            (701, 0, Some((true, false)), Some((true, false))),
            (740, 40, None, Some((true, true))),
            (740, 100, None, Some((false, true))),
            (740, 39, Some((true, false)), Some((true, true))),
            (751, 100, Some((false, true)), Some((false, true))),
            (751, 0, Some((true, true)), Some((true, true))),
            (656, 100, None, None),
            (657, 9, None, None),
            (657, 10, None, Some((false, true))),
            (900, 5000, Some((false, true)), Some((false, true))),
        ];
        for (used, unused, at_once, at_a_tick) in table {
            assert_eq!(order(used, unused, false), at_once, "{used} {unused}");
            assert_eq!(order(used, unused, true), at_a_tick, "{used} {unused}");
        }
        let usage = with_unused(usage(801, Some(1000)), 50);
        assert_eq!(target_bytes(&config, Pressure, &usage), 121);
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
