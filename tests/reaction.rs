//! What a manager does by itself under pressure: hooks with a target from the Elevated line on, and faster decay when it lasts.

#![cfg(feature = "jemalloc")]

mod support;

use std::sync::{Arc, Mutex};

use plimsoll::{CleanupFn, CleanupReason, MemoryManager, PressureLevel, get_memory_manager};
use support::capture::log;
use support::{alone, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;

type Cache = Arc<Mutex<Vec<Vec<u8>>>>;

const LIMIT: (&str, &str) = ("PLIMSOLL_MEMORY_LIMIT", "256MiB");

/// Memory that is really there.
fn touched(mib: usize) -> Vec<Vec<u8>> {
    (0..mib).map(|_| vec![1u8; MIB]).collect()
}

/// A hook that gives back what it is asked for, to the megabyte.
fn hook(cache: &Cache) -> CleanupFn {
    let cache = Arc::clone(cache);
    CleanupFn::new("cache", move |request| {
        let mut cache = cache.lock().unwrap();
        let blocks = (request.target_bytes as usize)
            .div_ceil(MIB)
            .min(cache.len());
        let kept = cache.len() - blocks;
        cache.truncate(kept);
        blocks * MIB
    })
}

fn two_looks(manager: &MemoryManager) {
    let start = manager.stats().looks_total;
    wait_until("two looks", || manager.stats().looks_total >= start + 2);
}

#[test]
fn above_the_elevated_line_hooks_give_back_what_leads_below_it_and_no_more() {
    const TEST: &str = "above_the_elevated_line_hooks_give_back_what_leads_below_it_and_no_more";
    if !alone(TEST, &[LIMIT]) {
        return;
    }
    let log = log();
    let manager = get_memory_manager();
    let cache = Cache::default();
    let _registration = manager.register_cleanup(hook(&cache));
    cache.lock().unwrap().append(&mut touched(186));
    wait_until("a cleanup", || manager.stats().last_cleanup.is_some());
    wait_until("the way back", || {
        manager.pressure() == PressureLevel::Normal && manager.usage().percent().unwrap() < 70.0
    });
    let report = manager.stats().last_cleanup.unwrap();
    assert_eq!(report.reason, Some(CleanupReason::Pressure), "{report}");
    // Another may have followed that only gave back what the hook had freed, and had no need of it.
    if !report.hooks.is_empty() {
        let target_bytes = report.target_bytes.unwrap();
        assert!((1..=80 * MIB as u64).contains(&target_bytes), "{report}");
    }
    // From 73 percent to 63: some 26 MiB of the 186, and never all.
    let held = cache.lock().unwrap().len();
    assert!((120..180).contains(&held), "{held} MiB are left");
    // Nothing was refused, and nobody had to be told.
    assert!(log.lines("memory is").is_empty());
}

#[test]
fn a_setting_turns_automatic_cleanups_off_and_what_is_asked_for_works() {
    const TEST: &str = "a_setting_turns_automatic_cleanups_off_and_what_is_asked_for_works";
    if !alone(TEST, &[LIMIT, ("PLIMSOLL_AUTOMATIC_CLEANUP", "off")]) {
        return;
    }
    let manager = get_memory_manager();
    assert!(
        manager
            .findings()
            .iter()
            .any(|finding| finding.code == "automatic-cleanup-off")
    );
    let cache = Cache::default();
    let _registration = manager.register_cleanup(hook(&cache));
    cache.lock().unwrap().append(&mut touched(225));
    wait_until("a high level", || manager.pressure() >= PressureLevel::High);
    two_looks(manager);
    assert_eq!(cache.lock().unwrap().len(), 225);
    let report = manager.check_and_cleanup();
    assert_eq!(report.reason, Some(CleanupReason::AbovePercent), "{report}");
    assert!(cache.lock().unwrap().len() < 225, "{report}");
}

#[test]
fn pressure_that_lasts_has_pages_go_back_sooner_until_it_is_over() {
    const TEST: &str = "pressure_that_lasts_has_pages_go_back_sooner_until_it_is_over";
    if !alone(TEST, &[LIMIT]) {
        return;
    }
    let manager = get_memory_manager();
    let decay_ms = || {
        // SAFETY: the key is a `ssize_t`, as jemalloc documents.
        unsafe { tikv_jemalloc_ctl::raw::read::<isize>(b"arenas.dirty_decay_ms\0") }.unwrap()
    };
    let usual_ms = decay_ms();
    // Nobody can give this back.
    let held = touched(190);
    wait_until("an elevated level", || {
        manager.pressure() >= PressureLevel::Elevated
    });
    assert!(!manager.stats().decay_hastened, "a peak is no reason");
    wait_until("faster decay", || manager.stats().decay_hastened);
    assert!(decay_ms() < usual_ms, "{} ms", decay_ms());
    drop(held);
    manager.force_cleanup();
    wait_until("the usual decay", || !manager.stats().decay_hastened);
    assert_eq!(decay_ms(), usual_ms);
}
