//! Whether a cleanup is needed, and which. Pure.
//!
//! What a hook frees stays with the allocator first, as unused pages that the next allocation takes. To give them back at once and
//! fault them in again a moment later costs a busy program up to half of its speed. So hooks are asked by what is *in use*, without unused
//! pages; enough of those go back when usage as a whole comes close to the High line, and all when it has become quiet. Unless that happens again and
//! again: then the program needs room to work in, and so much of them counts as in use ([`Churn`](super::churn::Churn)).

use crate::cleanup::{CleanupReason, Order, Unused};
use crate::manager::config::Config;
use crate::pressure::PressureLevel;
use crate::usage::{Bound, Usage};

/// Unused pages of less than one part in so many of the limit are not worth a purge of their own.
const WORTH_PURGING_SHARE: u64 = 100;
/// Where pages go round fast, a cleanup frees so much of what goes round ahead of need: fewer and larger ones.
const AHEAD_SHARE: u64 = 8;

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
/// quiet: when no cleanup has ended for a while.
pub(super) fn by_itself(
    config: &Config,
    usage: &Usage,
    churn_bytes: u64,
    level: PressureLevel,
    is_quiet: bool,
) -> Option<Order> {
    let bound = usage.binding.filter(|_| config.reactions.cleanup)?;
    let lines = &config.lines;
    let kept = lines.level_that_holds(bound.percent()).min(level);
    let keeps_level = kept >= PressureLevel::High || is_quiet && kept > PressureLevel::Normal;
    let is_worth_it = is_purge_worth_it(usage);
    let call_hooks = lines.level(in_use(&bound, usage, churn_bytes).percent()) > PressureLevel::Normal
        // First what nobody uses.
        || keeps_level && !is_worth_it;
    let is_close = bound.percent() > lines.purge_percent();
    let is_purge_due = is_close || keeps_level;
    let purge = match (call_hooks, is_purge_due) {
        // Without figures of the heap nobody knows what is unused.
        (true, _) if usage.heap.is_none() => Unused::All,
        (true, true) => how_much(config, &bound, is_quiet),
        (false, true) if is_worth_it => how_much(config, &bound, is_quiet),
        _ => Unused::None,
    };
    (call_hooks || purge > Unused::None).then_some(Order {
        reason: CleanupReason::Pressure,
        call_hooks,
        purge,
    })
}

/// All when nobody misses them, and where the limit is so near that nothing else matters.
fn how_much(config: &Config, bound: &Bound, is_quiet: bool) -> Unused {
    let is_critical = config.lines.level(bound.percent()) == PressureLevel::Critical;
    match is_quiet || is_critical {
        true => Unused::All,
        false => Unused::Enough,
    }
}

/// Whether so much is unused that a purge alone is worth its while.
fn is_purge_worth_it(usage: &Usage) -> bool {
    is_hundredth(usage, usage.unused_bytes)
}

/// Whether so many unused pages are taken back at once as would be worth a purge.
pub(super) fn is_churning(usage: &Usage, churn_bytes: u64) -> bool {
    is_hundredth(usage, churn_bytes)
}

/// Whether `bytes` are a hundredth of the limit, and more than nothing.
fn is_hundredth(usage: &Usage, bytes: u64) -> bool {
    usage
        .binding
        .is_some_and(|bound| bytes >= (bound.limit_bytes / WORTH_PURGING_SHARE).max(1))
}

/// `bound` without the pages that the allocator holds and nobody uses, `churn_bytes` of them excepted. Some of them may not be in memory at
/// all, then this is too low: until the next purge, which leaves none.
pub(super) fn in_use(bound: &Bound, usage: &Usage, churn_bytes: u64) -> Bound {
    let spare_bytes = if is_purge_worth_it(usage) {
        usage.unused_bytes.saturating_sub(churn_bytes)
    } else {
        0
    };
    Bound {
        used_bytes: bound.used_bytes.saturating_sub(spare_bytes),
        ..*bound
    }
}

/// Bytes to ask hooks for; `u64::MAX` for all that can be spared.
pub(super) fn target_bytes(
    config: &Config,
    reason: CleanupReason,
    usage: &Usage,
    churn_bytes: u64,
) -> u64 {
    match (reason, &usage.binding) {
        (CleanupReason::Forced, _) | (_, None) => u64::MAX,
        (_, Some(bound)) => {
            let in_use = in_use(bound, usage, churn_bytes);
            let aim_bytes = config.lines.aim_bytes(bound).unwrap_or(u64::MAX);
            match in_use.used_bytes.saturating_sub(aim_bytes) {
                0 => 0,
                above_bytes => above_bytes + churn_bytes.min(bound.limit_bytes) / AHEAD_SHARE,
            }
        }
    }
}

/// Bytes of unused pages that are enough to give back while the program is at work: down to where High ends, and some more, or the
/// next would be due at once. Those that stay are taken again before others are faulted in.
pub(super) fn enough_unused_bytes(config: &Config, usage: &Usage) -> u64 {
    let Some(bound) = &usage.binding else {
        return u64::MAX;
    };
    let line_bytes = config.lines.work_goes_on_bytes(bound);
    bound.used_bytes.saturating_sub(line_bytes) + bound.limit_bytes / WORTH_PURGING_SHARE
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
            let order = by_itself(&config, &usage, 0, PressureLevel::Normal, false);
            assert_eq!(order.map(|order| order.reason), alone, "{rss}");
            // Without a heap to ask, whatever hooks free is given back.
            assert!(order.is_none_or(|order| order.call_hooks && order.purge == Unused::All));
        }
        let held = |rss, level, quiet| by_itself(&config, &usage(rss, Some(1000)), 0, level, quiet);
        assert!(held(660, PressureLevel::Elevated, true).is_some());
        assert!(held(660, PressureLevel::Elevated, false).is_none());
        assert!(held(660, PressureLevel::Normal, true).is_none());
        assert!(held(650, PressureLevel::Critical, true).is_none());
        let mut config = config;
        config.reactions.cleanup = false;
        let order = by_itself(
            &config,
            &usage(801, Some(1000)),
            0,
            PressureLevel::High,
            true,
        );
        assert_eq!(order, None);
    }

    #[test]
    fn hooks_are_asked_by_what_is_in_use_and_pages_go_back_near_the_high_line_or_when_it_is_quiet()
    {
        let config = Config::DEFAULT;
        let order = |usage: &Usage, quiet: bool| {
            by_itself(&config, usage, 0, PressureLevel::Elevated, quiet)
                .map(|order| (order.call_hooks, order.purge > Unused::None))
        };
        // used, unused, at work, when it is quiet
        let table = [
            (700, 0, None, Some((true, true))),
            (701, 0, Some((true, false)), Some((true, true))),
            (740, 40, None, Some((false, true))),
            (740, 39, Some((true, false)), Some((true, true))),
            (795, 100, None, Some((false, true))),
            (796, 100, Some((false, true)), Some((false, true))),
            (795, 0, Some((true, false)), Some((true, true))),
            (796, 0, Some((true, true)), Some((true, true))),
            (801, 0, Some((true, true)), Some((true, true))),
            (801, 110, Some((false, true)), Some((false, true))),
            (656, 100, None, None),
            (657, 9, None, Some((true, true))),
            (657, 10, None, Some((false, true))),
            (900, 5000, Some((false, true)), Some((false, true))),
        ];
        for (used, unused, at_work, when_quiet) in table {
            let usage = with_unused(usage(used, Some(1000)), unused);
            assert_eq!(order(&usage, false), at_work, "{used} {unused}");
            assert_eq!(order(&usage, true), when_quiet, "{used} {unused}");
        }
        // Room that the program works in counts as in use.
        let churning = |churn| {
            let usage = with_unused(usage(740, Some(1000)), 200);
            by_itself(&config, &usage, churn, PressureLevel::Elevated, false).is_some()
        };
        assert!(!churning(0) && !churning(160) && churning(161));
        // Where work is refused nobody waits for a quiet moment.
        let high = |used| {
            by_itself(
                &config,
                &with_unused(usage(used, Some(1000)), 60),
                0,
                PressureLevel::High,
                false,
            )
        };
        assert!(high(751).is_some());
        assert_eq!(high(750), None);
    }

    #[test]
    fn at_work_enough_goes_back_and_all_when_it_is_quiet_or_critical() {
        let order = |used, unused, level, quiet| {
            let usage = with_unused(usage(used, Some(1000)), unused);
            by_itself(&Config::DEFAULT, &usage, 0, level, quiet).map(|order| order.purge)
        };
        let table = [
            (796, 10, PressureLevel::Elevated, false, Unused::Enough),
            (796, 200, PressureLevel::Elevated, false, Unused::Enough),
            (760, 200, PressureLevel::High, false, Unused::Enough),
            (900, 200, PressureLevel::High, false, Unused::Enough),
            (901, 200, PressureLevel::High, false, Unused::All),
            (901, 10, PressureLevel::High, false, Unused::All),
            (790, 10, PressureLevel::Elevated, true, Unused::All),
            (660, 200, PressureLevel::Elevated, true, Unused::All),
            (760, 10, PressureLevel::Elevated, false, Unused::None),
            // Or High would hold by itself between its end and where pages go back.
            (760, 9, PressureLevel::High, false, Unused::Enough),
        ];
        for (used, unused, level, quiet, purge) in table {
            assert_eq!(order(used, unused, level, quiet), Some(purge), "{used}");
        }
        let enough = |used, limit| enough_unused_bytes(&Config::DEFAULT, &usage(used, limit));
        // High ends at 750, and pages go back from 795 on.
        assert_eq!(enough(796, Some(1000)), 56);
        assert_eq!(enough(740, Some(1000)), 10);
        assert_eq!(enough(740, None), u64::MAX);
    }

    #[test]
    fn a_program_churns_from_a_hundredth_of_its_limit_on() {
        let churning = |limit, churn| is_churning(&usage(500, limit), churn);
        assert!(!churning(Some(1000), 9) && churning(Some(1000), 10));
        assert!(!churning(Some(50), 0) && churning(Some(50), 1));
        assert!(!churning(None, u64::MAX));
    }

    #[test]
    fn forced_asks_for_all_and_pressure_for_what_leads_to_the_level_below() {
        let config = Config::DEFAULT;
        let target = |reason, rss, limit| target_bytes(&config, reason, &usage(rss, limit), 0);
        assert_eq!(target(Forced, 801, Some(1000)), u64::MAX);
        assert_eq!(target(Growth, 801, None), u64::MAX);
        assert_eq!(target(Pressure, 801, Some(1000)), 81);
        assert_eq!(target(AbovePercent, 710, Some(1000)), 80);
        assert_eq!(target(Growth, 500, Some(1000)), 0);
        // Where Elevated still holds its end is the aim.
        assert_eq!(target(Pressure, 660, Some(1000)), 30);
        let with_unused = |unused| with_unused(usage(770, Some(1000)), unused);
        let target = |unused, churn| target_bytes(&config, Pressure, &with_unused(unused), churn);
        assert_eq!(target(20, 0), 120);
        assert_eq!(target(200, 0), 0);
        // What the program works with is in use.
        assert_eq!(target(200, 150), 90 + 150 / 8);
        assert_eq!(target(200, 200), 140 + 200 / 8);
        assert_eq!(target(200, u64::MAX), 140 + 1000 / 8);
        assert_eq!(target(200, 40), 0, "nothing is ahead of no need");
    }
}
