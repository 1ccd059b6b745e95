//! The guide's memory manager, row by row of its behaviour table.

#![cfg(feature = "jemalloc")]

mod support;

use std::sync::{Arc, Mutex, MutexGuard};

use plimsoll::{
    ByteSize, CleanupFn, CleanupOutcome, CleanupReason, MemoryManager, PressureLevel,
    get_memory_manager, memory_limit, periodic_cleanup,
};
use support::{capture, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;

/// RSS belongs to the process: tests that judge by it take turns.
fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A limit that puts the process at `percent` of it now.
fn limit_at(percent: u64) -> ByteSize {
    let rss_bytes = get_memory_manager().usage().rss_bytes;
    ByteSize::bytes(rss_bytes * 100 / percent)
}

#[test]
fn get_memory_manager_is_one_for_the_process_with_the_guides_lines() {
    let manager = get_memory_manager();
    assert!(std::ptr::eq(manager, get_memory_manager()));
    let stats = manager.stats();
    assert_eq!(stats.max_memory_percent, 80.0);
    assert_eq!(stats.cleanup_threshold_bytes, 100 * 1024 * 1024);
}

#[test]
fn get_memory_usage_is_rss_vms_percent_and_the_system() {
    let _turn = in_turn();
    let before = get_memory_manager().usage();
    let kept = vec![1u8; 64 * MIB];
    let usage = get_memory_manager().usage();
    assert!(
        usage.rss_bytes >= before.rss_bytes + 60 * MIB as u64,
        "{usage}"
    );
    assert!(
        usage.virtual_bytes.unwrap() > usage.rss_bytes && usage.peak_rss_bytes >= usage.rss_bytes
    );
    let heap = usage.heap.unwrap();
    assert!(heap.active_bytes >= 64 * MIB as u64);
    let percent = usage.percent().unwrap();
    assert!(percent > 0.0 && percent < 100.0);
    assert!(usage.system_available_bytes.unwrap() < usage.system_total_bytes.unwrap());
    let system_percent = usage.system_percent().unwrap();
    assert!(system_percent > 0.0 && system_percent < 100.0);
    drop(kept);
}

#[test]
fn check_and_cleanup_cleans_above_the_line_with_hooks() {
    let _turn = in_turn();
    let kept = Arc::new(Mutex::new(vec![1u8; 64 * MIB]));
    let manager = MemoryManager::builder()
        .limit(limit_at(90))
        .automatic_cleanup(false)
        .build()
        .unwrap();
    let _registration = manager.register_cleanup(CleanupFn::new("kept", {
        let kept = Arc::clone(&kept);
        move |_| std::mem::take(&mut *kept.lock().unwrap()).len()
    }));
    let report = manager.check_and_cleanup();
    assert_eq!(report.outcome, CleanupOutcome::Cleaned, "{report}");
    assert_eq!(report.reason, Some(CleanupReason::AbovePercent));
    let hook = &report.hooks[0];
    assert_eq!(hook.claimed_bytes, Some(64 * MIB as u64));
    assert!(hook.freed_bytes.unwrap() >= 64 * MIB as u64, "{report}");
    assert!(report.returned_bytes() >= 60 * MIB as i64, "{report}");
    assert!(report.after.rss_bytes < report.before.rss_bytes);
    // And now there is no need any more.
    assert_eq!(
        manager.check_and_cleanup().outcome,
        CleanupOutcome::NotNeeded
    );
    wait_until("a normal level", || {
        manager.pressure() == PressureLevel::Normal
    });
}

#[test]
fn check_and_cleanup_after_growth_purges_and_leaves_the_caches_alone() {
    let _turn = in_turn();
    let manager = MemoryManager::builder()
        .cleanup_threshold(ByteSize::mib(32))
        .build()
        .unwrap();
    let _registration = manager.register_cleanup(CleanupFn::new("warming cache", |_| -> u64 {
        panic!("a warming cache must not be emptied")
    }));
    assert_eq!(
        manager.check_and_cleanup().outcome,
        CleanupOutcome::NotNeeded
    );
    let kept = vec![1u8; 64 * MIB];
    let report = manager.check_and_cleanup();
    assert_eq!(report.reason, Some(CleanupReason::Growth), "{report}");
    assert!(report.purged && report.hooks.is_empty());
    // Growth counts from the last cleanup, not from the start.
    assert_eq!(
        manager.check_and_cleanup().outcome,
        CleanupOutcome::NotNeeded
    );
    drop(kept);
}

#[test]
fn force_cleanup_cleans_whatever_the_usage_and_returns_what_was_freed() {
    let _turn = in_turn();
    let manager = MemoryManager::builder().build().unwrap();
    let rows: Vec<Vec<u8>> = (0..16 * 1024).map(|_| vec![1; 4096]).collect();
    let before = manager.usage().rss_bytes;
    drop(rows);
    let report = manager.force_cleanup();
    assert_eq!(report.outcome, CleanupOutcome::Cleaned);
    assert_eq!(report.reason, Some(CleanupReason::Forced));
    let returned = before as i64 - report.after.rss_bytes as i64;
    assert!(
        returned >= 60 * MIB as i64,
        "{returned} bytes returned: {report}"
    );
}

#[test]
fn get_stats_is_usage_and_cleanups_and_lines() {
    let _turn = in_turn();
    let manager = MemoryManager::builder()
        .max_memory_percent(70.0)
        .cleanup_threshold(ByteSize::mib(10))
        .build()
        .unwrap();
    let _registration = manager.register_cleanup(CleanupFn::new("a hook", |_| 7u64));
    assert_eq!(manager.stats().cleanups_total, 0);
    assert!(manager.stats().last_cleanup.is_none());
    manager.force_cleanup();
    let stats = manager.stats();
    assert_eq!(stats.cleanups_total, 1);
    assert_eq!(stats.last_cleanup.unwrap().hooks[0].claimed_bytes, Some(7));
    assert_eq!(stats.max_memory_percent, 70.0);
    assert_eq!(stats.cleanup_threshold_bytes, 10 << 20);
    assert_eq!(stats.hooks, ["a hook"]);
    assert!(stats.usage.rss_bytes > 0 && stats.rss_at_last_cleanup_bytes > 0);
}

#[test]
fn memory_limit_measures_one_call_warns_with_the_functions_name_and_cleans() {
    #[memory_limit(max_mb = 100, cleanup_on_exceed = true)]
    fn process_data(bytes: usize) -> Vec<u8> {
        vec![1; bytes]
    }

    let _turn = in_turn();
    let log = capture::log();
    let manager = get_memory_manager();
    drop(process_data(90 * MIB));
    let kept = process_data(110 * MIB);
    wait_until("a warning", || log.lines("process_data").len() == 1);
    let warning = &log.lines("process_data")[0];
    assert!(
        warning.contains("WARN") && warning.contains("scope_limit_bytes=104857600"),
        "{warning}"
    );
    assert!(warning.contains("scope_held_bytes=1153"), "{warning}");
    wait_until("a cleanup", || {
        manager.stats().last_cleanup.is_some_and(|report| {
            report.reason == Some(CleanupReason::LimitExceeded)
                || report.reason == Some(CleanupReason::Growth)
        })
    });
    drop(kept);
}

#[test]
fn periodic_cleanup_requests_a_check_after_every_100th_call() {
    #[periodic_cleanup(interval_calls = 100)]
    fn process_event() {}

    let requests = || {
        get_memory_manager()
            .stats()
            .periodic
            .into_iter()
            .find(|site| site.name.ends_with("process_event"))
            .map_or((0, 0), |site| (site.calls_total, site.requests_total))
    };
    (0..99).for_each(|_| process_event());
    assert_eq!(requests(), (0, 0));
    process_event();
    assert_eq!(requests(), (100, 1));
    (0..250).for_each(|_| process_event());
    assert_eq!(requests(), (300, 3));
}

#[test]
fn a_requested_check_cleans_if_needed() {
    let _turn = in_turn();
    let manager = get_memory_manager();
    let cleanups = || manager.stats().cleanups_total;
    // Growth counts from here, not from what another test has left.
    manager.force_cleanup();
    let before = cleanups();
    let kept = vec![1u8; 120 * MIB];
    // The site asks again and again, as a busy one does: a request may be answered before the memory is resident.
    wait_until("a cleanup after growth", || {
        (0..100).for_each(|_| plimsoll::PeriodicCleanup::every(100).named("busy").tick());
        cleanups() > before
    });
    drop(kept);
}
