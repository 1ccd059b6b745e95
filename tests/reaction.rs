//! What a manager does by itself under pressure: hooks with a target from the Elevated line on, thread caches given up, and faster decay
//! when it lasts.

#![cfg(feature = "jemalloc")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use plimsoll::{
    CleanupFn, CleanupReason, MemoryLimit, MemoryManager, PressureLevel, get_memory_manager,
};
use support::capture::log;
use support::{alone, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;

type Cache = Arc<Mutex<Vec<Vec<u8>>>>;

/// What the hook was asked for.
static TARGETS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

const LIMIT: (&str, &str) = ("PLIMSOLL_MEMORY_LIMIT", "256MiB");

/// Memory that is really there.
fn touched(mib: usize) -> Vec<Vec<u8>> {
    (0..mib).map(|_| vec![1u8; MIB]).collect()
}

/// A hook that gives back what it is asked for, to the megabyte.
fn hook(cache: &Cache) -> CleanupFn {
    let cache = Arc::clone(cache);
    CleanupFn::new("cache", move |request| {
        TARGETS.lock().unwrap().push(request.target_bytes);
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
    let targets = TARGETS.lock().unwrap().clone();
    assert!(
        (1..=80 * MIB as u64).contains(&targets[0]),
        "{targets:?} {report}"
    );
    // From 73 percent to 63: some 26 MiB of the 186, and never all.
    let held = cache.lock().unwrap().len();
    assert!((120..180).contains(&held), "{held} MiB are left");
    // Nothing was refused, and nobody had to be told.
    assert!(log.lines("memory is").is_empty());
    // Pages that went back when it was quiet are missed by nobody.
    assert_eq!(manager.stats().churn_bytes, 0);
}

#[test]
fn who_frees_and_takes_again_at_once_is_left_room_for_it_until_that_is_over() {
    const TEST: &str = "who_frees_and_takes_again_at_once_is_left_room_for_it_until_that_is_over";
    if !alone(TEST, &[("PLIMSOLL_MEMORY_LIMIT", "64MiB")]) {
        return;
    }
    let manager = get_memory_manager();
    let kept = touched(20);
    let is_over = AtomicBool::new(false);
    let mut most_churn_bytes = 0;
    std::thread::scope(|threads| {
        // Each has an arena of its own, and takes nothing of what the others leave.
        for _ in 0..3 {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    drop(touched(10));
                }
            });
        }
        wait_until("room for what is freed and taken again", || {
            most_churn_bytes = manager.stats().churn_bytes.max(most_churn_bytes);
            most_churn_bytes > MIB as u64
        });
        is_over.store(true, Ordering::Relaxed);
    });
    drop(kept);
    assert!(
        most_churn_bytes <= 64 * MIB as u64 * 45 / 100,
        "{most_churn_bytes}"
    );
    wait_until("an end of it", || {
        manager.stats().churn_bytes < most_churn_bytes / 4
    });
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

/// Elevated by what nobody can give back.
fn elevated(manager: &MemoryManager) -> Vec<Vec<u8>> {
    let held = touched(190);
    wait_until("an elevated level", || {
        manager.pressure() >= PressureLevel::Elevated
    });
    held
}

fn decay_ms() -> isize {
    // SAFETY: the key is a `ssize_t`, as jemalloc documents.
    unsafe { tikv_jemalloc_ctl::raw::read::<isize>(b"arenas.dirty_decay_ms\0") }.unwrap()
}

#[test]
fn pressure_that_lasts_has_pages_go_back_sooner_until_it_is_over() {
    const TEST: &str = "pressure_that_lasts_has_pages_go_back_sooner_until_it_is_over";
    if !alone(TEST, &[LIMIT]) {
        return;
    }
    let manager = get_memory_manager();
    let usual_ms = decay_ms();
    let held = elevated(manager);
    assert!(!manager.stats().decay_hastened, "a peak is no reason");
    // What was before is remembered first, then it is hastened.
    wait_until("faster decay", || {
        manager.stats().decay_hastened && decay_ms() < usual_ms
    });
    drop(held);
    manager.force_cleanup();
    wait_until("the usual decay", || !manager.stats().decay_hastened);
    assert_eq!(decay_ms(), usual_ms);
}

#[test]
fn a_setting_leaves_decay_as_it_is() {
    const TEST: &str = "a_setting_leaves_decay_as_it_is";
    if !alone(TEST, &[LIMIT, ("PLIMSOLL_FASTER_DECAY", "off")]) {
        return;
    }
    let manager = get_memory_manager();
    let usual_ms = decay_ms();
    let held = elevated(manager);
    // Longer than pressure has to last.
    std::thread::sleep(Duration::from_secs(6));
    two_looks(manager);
    assert!(manager.pressure() >= PressureLevel::Elevated);
    assert!(!manager.stats().decay_hastened);
    assert_eq!(decay_ms(), usual_ms);
    drop(held);
}

#[test]
fn a_thread_gives_up_its_cache_at_its_next_boundary_after_a_purge() {
    const TEST: &str = "a_thread_gives_up_its_cache_at_its_next_boundary_after_a_purge";
    if !alone(TEST, &[LIMIT]) {
        return;
    }
    let manager = get_memory_manager();
    let cached_bytes = || manager.usage().heap.unwrap().thread_cache_bytes;
    let (filled, has_filled) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let (done, may_go) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let scope = MemoryLimit::mib(64).named("around").enter();
        // Of the largest sizes that caches keep, as many as they keep.
        let kib = [20, 24, 28, 32].into_iter().flat_map(|kib| [kib; 20]);
        drop(kib.map(|kib| vec![1u8; kib << 10]).collect::<Vec<_>>());
        filled.send(()).unwrap();
        let _ = may_end.recv();
        drop(scope);
        let _ = may_go.recv();
    });
    has_filled.recv().unwrap();
    manager.force_cleanup();
    // No purge reaches it. What the other threads keep stays far below a MiB, and changes little.
    wait_until("a full cache", || cached_bytes() > 3 << 19);
    let full_bytes = cached_bytes();
    end.send(()).unwrap();
    wait_until("an empty one", || {
        full_bytes.saturating_sub(cached_bytes()) > MIB as u64
    });
    drop(done);
    thread.join().unwrap();
}
