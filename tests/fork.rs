//! A forked child reads itself, keeps its hooks, and starts threads of its own.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use plimsoll::{
    CleanupFn, CleanupOutcome, HookOutcome, MemoryManager, PressureLevel, get_memory_manager,
};
use support::fork::fork;
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

#[test]
fn a_child_reads_itself_and_cleans_up_with_the_hooks_of_its_parent() {
    let manager = get_memory_manager();
    let runs = Arc::new(AtomicU64::new(0));
    let _hook = manager.register_cleanup(CleanupFn::new("counts", {
        let runs = Arc::clone(&runs);
        move |_| runs.fetch_add(1, Ordering::SeqCst)
    }));
    manager.force_cleanup();
    let held = vec![1u8; 300 << 20];
    let in_parent = manager.usage().rss_bytes;

    let status = fork(|| {
        drop(held);
        let more = vec![1u8; 100 << 20];
        let usage = manager.usage();
        // The parent's 300 MiB are gone here, and the child's own 100 MiB are there.
        if usage.rss_bytes > in_parent - 150 * MIB || usage.rss_bytes < 100 * MIB {
            return 1;
        }
        // The child's worker refreshes the slow facts.
        wait_until("a fresh look", || {
            std::thread::sleep(std::time::Duration::from_millis(600));
            manager.usage().slow_facts_age_ms < 600
        });
        let report = manager.force_cleanup();
        if report.outcome != CleanupOutcome::Cleaned
            || report.hooks[0].outcome != HookOutcome::Completed
        {
            return 2;
        }
        drop(more);
        // A child of the child as well.
        fork(|| {
            if manager.force_cleanup().outcome == CleanupOutcome::Cleaned {
                0
            } else {
                3
            }
        })
    });
    assert_eq!(status, 0);
    assert_eq!(
        runs.load(Ordering::SeqCst),
        1,
        "what the child does, it does to its own copy"
    );
    assert_eq!(manager.force_cleanup().outcome, CleanupOutcome::Cleaned);
}

#[test]
fn a_fork_at_any_moment_leaves_the_child_a_manager_that_works() {
    let manager = Arc::new(MemoryManager::builder().build().unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    // Other threads keep all locks of the manager busy: registry, runner, readings.
    let busy: Vec<_> = (0..3)
        .map(|n| {
            let (manager, stop) = (Arc::clone(&manager), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match n {
                        0 => {
                            drop(manager.register_cleanup(CleanupFn::new("comes and goes", |_| ())))
                        }
                        1 => drop(manager.check_and_cleanup()),
                        _ => drop(manager.force_cleanup()),
                    }
                }
            })
        })
        .collect();
    for _ in 0..50 {
        let status = fork(|| {
            let ran = Arc::new(AtomicBool::new(false));
            let _hook = manager.register_cleanup(CleanupFn::new("the child's", {
                let ran = Arc::clone(&ran);
                move |_| ran.store(true, Ordering::SeqCst)
            }));
            let report = manager.force_cleanup();
            if report.outcome == CleanupOutcome::Cleaned && ran.load(Ordering::SeqCst) {
                0
            } else {
                1
            }
        });
        assert_eq!(status, 0);
    }
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_fork_while_a_hook_runs_leaves_the_child_a_hook_that_can_run() {
    let manager = MemoryManager::builder().build().unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let (inside, is_inside) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let first = AtomicBool::new(true);
    let _hook = manager.register_cleanup(CleanupFn::new("cache", move |_| {
        if first.swap(false, Ordering::SeqCst) {
            inside.send(()).unwrap();
            let _ = wait.lock().unwrap().recv();
        }
    }));
    manager.request_cleanup();
    is_inside.recv().unwrap();
    let status = fork(|| {
        let report = manager.force_cleanup();
        if report.hooks[0].outcome == HookOutcome::Completed {
            0
        } else {
            1
        }
    });
    go.send(()).unwrap();
    assert_eq!(status, 0);
}

#[test]
fn the_child_of_a_fork_inside_a_hook_is_no_runner() {
    let manager = Arc::new(MemoryManager::builder().build().unwrap());
    let status = Arc::new(AtomicI32::new(-1));
    let _hook = manager.register_cleanup(CleanupFn::new("forks once", {
        let (manager, status) = (Arc::downgrade(&manager), Arc::clone(&status));
        let first = AtomicBool::new(true);
        move |_| {
            if first.swap(false, Ordering::SeqCst) {
                let manager = manager.upgrade().unwrap();
                let cleaned = || manager.force_cleanup().outcome == CleanupOutcome::Cleaned;
                status.store(fork(|| if cleaned() { 0 } else { 1 }), Ordering::SeqCst);
            }
        }
    }));
    manager.force_cleanup();
    assert_eq!(status.load(Ordering::SeqCst), 0);
}

#[test]
fn a_child_that_only_looks_at_the_pressure_sees_it_change() {
    let held = vec![1u8; 200 << 20];
    let rss_bytes = get_memory_manager().usage().rss_bytes;
    let limit = plimsoll::ByteSize::bytes(rss_bytes * 10 / 9);
    let manager = MemoryManager::builder().limit(limit).build().unwrap();
    wait_until("high", || manager.pressure() >= PressureLevel::High);
    let status = fork(|| {
        drop(held);
        wait_until("normal", || manager.pressure() == PressureLevel::Normal);
        0
    });
    assert_eq!(status, 0);
}
