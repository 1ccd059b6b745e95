//! [`ManagerStats`]: what was done so far, and by which lines.

use std::sync::atomic::Ordering;

use crate::cleanup::{CleanupReport, HookStats, PeriodicStats, periodic_stats};
use crate::manager::notices::NoticeStats;
use crate::manager::shared::Shared;
use crate::meter::{self, BrakeStats};
use crate::pressure::PressureLevel;
use crate::usage::{LimitSource, Usage};

/// Usage, the lines in force, and what was done so far.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ManagerStats {
    /// Usage now.
    pub usage: Usage,
    /// The path of the cgroup whose limit binds, when one does.
    pub binding_cgroup: Option<String>,
    /// The level as of the last look.
    pub pressure: PressureLevel,
    /// At the speed of the last readings the limit is reached in this time; `None` when usage does not grow, or nobody can tell.
    pub time_to_limit_ms: Option<u64>,
    /// The Elevated line in percent of the limit.
    pub elevated_percent: f64,
    /// The High line in percent of the limit.
    pub max_memory_percent: f64,
    /// The Critical line in percent of the limit.
    pub critical_percent: f64,
    /// How often and how long threads were braked. Of the process, a forked child counts anew: zeros for a manager that is not installed.
    pub brake: BrakeStats,
    /// Whether the allocator gives freed pages back sooner now, because pressure has lasted and no cleanup had to give back pages lately that
    /// the program was working with.
    pub decay_hastened: bool,
    /// How often usage was measured for a decision, by the worker, around cleanups, and for checks that somebody asked for. A forked child
    /// goes on from its parent's count.
    pub looks_total: u64,
    /// Pages that the program frees and takes again at once, as learned from purges in the midst of work: hooks are asked to leave room for
    /// so much.
    pub churn_bytes: u64,
    /// Growth of RSS after which a cleanup is due.
    pub cleanup_threshold_bytes: u64,
    /// RSS after the last cleanup, or at the start: growth counts from here, in a forked child as well before its own first cleanup.
    pub rss_at_last_cleanup_bytes: u64,
    /// What is reserved, filled or not.
    pub reserved_bytes: u64,
    /// What is reserved and not filled yet: so much of the headroom is spoken for.
    pub reserved_unfilled_bytes: u64,
    /// How many wait for a reservation.
    pub reservations_waiting: u64,
    /// How often the heap grew up to where the next line might be reached, and the worker took a reading. Of the process: 0 for a
    /// manager that is not installed. A forked child goes on from its parent's count.
    pub heap_line_passed_total: u64,
    /// What was told earlier than the ticks, and who tells.
    pub notices: NoticeStats,
    /// Cleanups that ran. A forked child goes on from its parent's count.
    pub cleanups_total: u64,
    /// Of those with hooks, how many gave back too little for their target and for their cost: the next that nobody waits for rests.
    pub cleanups_futile_total: u64,
    /// What the kernel got back, RSS before minus after, summed over the cleanups; one during which the process grew counts as 0.
    pub cleanup_returned_bytes_total: u64,
    /// Processor time of all cleanups, as [`CleanupReport::cpu_us`] counts it.
    pub cleanup_cpu_us_total: u64,
    /// The last one; in a forked child its parent's, until it has one of its own.
    pub last_cleanup: Option<CleanupReport>,
    /// Names of the registered hooks, in the order in which they run: by priority, then by what they gave back per millisecond.
    pub hooks: Vec<String>,
    /// What each of them has done so far, in the same order.
    pub hook_stats: Vec<HookStats>,
    /// What the periodic sites of the process have counted.
    pub periodic: Vec<PeriodicStats>,
}

pub(super) fn collect(shared: &Shared) -> ManagerStats {
    let usage = shared.usage();
    let is_installed = meter::is_installed(&shared.bell);
    let binding_cgroup = match usage.binding.map(|bound| bound.source) {
        Some(LimitSource::Cgroup { ancestor, .. }) => shared.gauge().cgroup_path(ancestor),
        _ => None,
    };
    let hooks = shared.registry.in_order();
    ManagerStats {
        usage,
        binding_cgroup,
        pressure: shared.watch().level(),
        time_to_limit_ms: shared.time_to_limit_ms(),
        elevated_percent: shared.config.lines.elevated_percent,
        max_memory_percent: shared.config.lines.high_percent,
        critical_percent: shared.config.lines.critical_percent,
        brake: if is_installed {
            meter::brake_stats()
        } else {
            BrakeStats::default()
        },
        decay_hastened: shared.decay.is_hastened(),
        looks_total: shared.looks_total.load(Ordering::Relaxed),
        churn_bytes: shared.churn_bytes(),
        cleanup_threshold_bytes: shared.config.cleanup_threshold_bytes,
        rss_at_last_cleanup_bytes: shared.last_rss_bytes.load(Ordering::Relaxed),
        reserved_bytes: shared.pool().reserved_bytes(),
        reserved_unfilled_bytes: shared.pool().unfilled_bytes(),
        reservations_waiting: shared.pool().waiting() as u64,
        heap_line_passed_total: if is_installed {
            meter::heap_line_passed_total()
        } else {
            0
        },
        notices: shared.threads().watcher.stats(),
        cleanups_total: shared.cleanups_total.load(Ordering::Relaxed),
        cleanups_futile_total: shared.cleanups_futile_total.load(Ordering::Relaxed),
        cleanup_returned_bytes_total: shared.cleanup_returned_bytes_total.load(Ordering::Relaxed),
        cleanup_cpu_us_total: shared.cleanup_cpu_us_total.load(Ordering::Relaxed),
        last_cleanup: shared.last_cleanup.load().as_deref().cloned(),
        hooks: hooks.iter().map(|entry| entry.name.clone()).collect(),
        hook_stats: hooks.iter().map(|entry| entry.stats()).collect(),
        periodic: periodic_stats(),
    }
}
