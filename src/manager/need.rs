//! Whether a cleanup is needed, and which. Pure.
//!
//! What a hook frees stays with the allocator first: as free places between objects, and as unused pages. The next allocation takes
//! them. To give pages back at once and fault them in again a moment later costs a busy program up to half of its speed, and to evict
//! until whole pages are free empties its caches. So between Elevated and High hooks are asked by what is *in use*, object by object;
//! unused pages go back close to the High line; from there on pages count; and when it has become quiet, hooks and purge lead the
//! level to its end.

use crate::cleanup::{CleanupReason, Order};
use crate::manager::config::Config;
use crate::pressure::PressureLevel;
use crate::usage::{Bound, Usage};

/// Unused pages of less than one part in so many of the limit are not worth a purge of their own.
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

/// One that nobody asked for, while `level` holds. A level at which work is refused is led to its end at once, Elevated when it is
/// quiet: when nothing had to be done since the last tick.
pub(super) fn by_itself(
    config: &Config,
    usage: &Usage,
    level: PressureLevel,
    is_quiet: bool,
) -> Option<Order> {
    let bound = usage.binding.filter(|_| config.reactions.cleanup)?;
    let lines = &config.lines;
    let unused_bytes = usage.heap.map_or(0, |heap| heap.dirty_bytes);
    let kept = lines.level_that_holds(bound.percent()).min(level);
    let keeps_level = kept >= PressureLevel::High || is_quiet && kept > PressureLevel::Normal;
    let is_worth_it = unused_bytes >= bound.limit_bytes / WORTH_PURGING_SHARE;
    let call_hooks = lines.level(in_use(config, &bound, usage).percent()) > PressureLevel::Normal
        // First what nobody uses.
        || keeps_level && !is_worth_it;
    let is_close = bound.percent() > lines.purge_percent();
    let purge = if call_hooks {
        // Without figures of the heap nobody knows what is unused.
        is_close || keeps_level || usage.heap.is_none()
    } else {
        is_worth_it && (is_close || keeps_level)
    };
    (call_hooks || purge).then_some(Order {
        reason: CleanupReason::Pressure,
        call_hooks,
        purge,
    })
}

/// `bound` without what the allocator holds and nobody uses: unused pages, and up to the High line free places on pages in use. Some of
/// it may not be in memory at all, or of no use for what is allocated next. Then this is too low, usage rises, and pages count.
pub(super) fn in_use(config: &Config, bound: &Bound, usage: &Usage) -> Bound {
    let pages = pages_in_use(bound, usage);
    let is_high = config.lines.level(bound.percent()) >= PressureLevel::High;
    let free_bytes = usage.heap.filter(|_| !is_high).map_or(0, |heap| {
        heap.active_bytes.saturating_sub(heap.allocated_bytes)
    });
    Bound {
        used_bytes: pages.used_bytes.saturating_sub(free_bytes),
        ..pages
    }
}

fn pages_in_use(bound: &Bound, usage: &Usage) -> Bound {
    let unused_bytes = usage.heap.map_or(0, |heap| heap.dirty_bytes);
    Bound {
        used_bytes: bound.used_bytes.saturating_sub(unused_bytes),
        ..*bound
    }
}

/// Bytes to ask hooks for; `u64::MAX` for all that can be spared.
pub(super) fn target_bytes(config: &Config, order: Order, usage: &Usage) -> u64 {
    match (order.reason, &usage.binding) {
        (CleanupReason::Forced, _) | (_, None) => u64::MAX,
        (_, Some(bound)) => {
            let in_use = if order.purge {
                pages_in_use(bound, usage)
            } else {
                in_use(config, bound, usage)
            };
            let aim_bytes = config.lines.aim_bytes(bound);
            aim_bytes.map_or(0, |aim_bytes| in_use.used_bytes.saturating_sub(aim_bytes))
        }
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
            let order = by_itself(&config, &usage, PressureLevel::Normal, false);
            assert_eq!(order.map(|order| order.reason), alone, "{rss}");
            // Without a heap to ask, whatever hooks free is given back.
            assert!(order.is_none_or(|order| order.call_hooks && order.purge));
        }
        let held = |rss, level, quiet| by_itself(&config, &usage(rss, Some(1000)), level, quiet);
        assert!(held(660, PressureLevel::Elevated, true).is_some());
        assert!(held(660, PressureLevel::Elevated, false).is_none());
        assert!(held(660, PressureLevel::Normal, true).is_none());
        assert!(held(650, PressureLevel::Critical, true).is_none());
        let mut config = config;
        config.reactions.cleanup = false;
        let order = by_itself(&config, &usage(801, Some(1000)), PressureLevel::High, true);
        assert_eq!(order, None);
    }

    /// With so many bytes in unused pages and in free places.
    fn with_free(used: u64, unused: u64, free: u64) -> Usage {
        let mut usage = with_unused(usage(used, Some(1000)), unused);
        let heap = usage.heap.as_mut().unwrap();
        heap.allocated_bytes = heap.active_bytes.saturating_sub(free);
        usage
    }

    #[test]
    fn hooks_are_asked_by_what_is_in_use_and_pages_go_back_near_the_high_line_or_when_it_is_quiet()
    {
        let config = Config::DEFAULT;
        let order = |usage: &Usage, quiet: bool| {
            by_itself(&config, usage, PressureLevel::Elevated, quiet)
                .map(|order| (order.call_hooks, order.purge))
        };
        // used, unused, free, at work, when it is quiet
        let table = [
            (700, 0, 0, None, Some((true, true))),
            (701, 0, 0, Some((true, false)), Some((true, true))),
            (740, 40, 0, None, Some((false, true))),
            (740, 39, 0, Some((true, false)), Some((true, true))),
            (740, 0, 40, None, Some((true, true))),
            (740, 20, 20, None, Some((false, true))),
            (751, 100, 0, Some((false, true)), Some((false, true))),
            (751, 0, 100, None, Some((true, true))),
            (751, 10, 100, Some((false, true)), Some((false, true))),
            (751, 0, 0, Some((true, true)), Some((true, true))),
            // From High on free places are no room.
            (801, 0, 200, Some((true, true)), Some((true, true))),
            (801, 110, 0, Some((false, true)), Some((false, true))),
            (656, 100, 0, None, None),
            (657, 9, 0, None, Some((true, true))),
            (657, 10, 0, None, Some((false, true))),
            (900, 5000, 0, Some((false, true)), Some((false, true))),
        ];
        for (used, unused, free, at_work, when_quiet) in table {
            let usage = with_free(used, unused, free);
            assert_eq!(order(&usage, false), at_work, "{used} {unused} {free}");
            assert_eq!(order(&usage, true), when_quiet, "{used} {unused} {free}");
        }
        // Where work is refused nobody waits for a quiet moment.
        let high = |used| {
            by_itself(
                &config,
                &with_free(used, 0, 200),
                PressureLevel::High,
                false,
            )
        };
        assert!(high(751).is_some_and(|order| order.call_hooks && order.purge));
        assert_eq!(high(749), None);
    }

    #[test]
    fn forced_asks_for_all_and_pressure_for_what_leads_to_the_level_below() {
        let config = Config::DEFAULT;
        let target = |reason, purge, usage: &Usage| {
            let order = Order {
                reason,
                call_hooks: true,
                purge,
            };
            target_bytes(&config, order, usage)
        };
        let limited = |rss| usage(rss, Some(1000));
        assert_eq!(target(Forced, true, &limited(801)), u64::MAX);
        assert_eq!(target(Growth, true, &usage(801, None)), u64::MAX);
        assert_eq!(target(Pressure, true, &limited(801)), 81);
        assert_eq!(target(AbovePercent, true, &limited(710)), 80);
        assert_eq!(target(Growth, true, &limited(500)), 0);
        // Where Elevated still holds its end is the aim.
        assert_eq!(target(Pressure, true, &limited(660)), 30);
        let usage = with_free(770, 20, 50);
        assert_eq!(target(Pressure, true, &usage), 120);
        assert_eq!(target(Pressure, false, &usage), 70);
        assert_eq!(target(Pressure, false, &with_free(740, 100, 50)), 0);
    }
}
