//! A program with nothing but an attribute and a limit: what fills the process is noticed, told, and cleaned up, whoever fills it.

#![cfg(feature = "jemalloc")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plimsoll::{CleanupFn, CleanupReason, PressureLevel, get_memory_manager, memory_limit};
use support::capture::log;
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

#[memory_limit(1)]
fn passes_its_limit() -> Vec<u8> {
    vec![1; 2 << 20]
}

fn cleaned_above_the_line() -> bool {
    let last = get_memory_manager().stats().last_cleanup;
    last.is_some_and(|report| report.reason == Some(CleanupReason::Pressure))
}

fn two_ticks(what: &str) {
    let start = Instant::now();
    wait_until(what, || start.elapsed() > Duration::from_millis(2200));
}

/// Runs `test` in a process of its own that may use 256 MiB.
fn alone(test: &str) -> bool {
    support::alone(test, &[("PLIMSOLL_MEMORY_LIMIT", "256MiB")])
}

#[test]
fn a_thread_that_fills_the_process_is_noticed_and_the_hooks_run() {
    if !alone("a_thread_that_fills_the_process_is_noticed_and_the_hooks_run") {
        return;
    }
    let log = log();
    // The attribute alone starts the manager, when it has something to tell.
    drop(passes_its_limit());
    wait_until("its warning", || !log.lines("passes_its_limit").is_empty());

    static CALLS: AtomicU64 = AtomicU64::new(0);
    let registration = get_memory_manager().register_cleanup(CleanupFn::new("cache", |request| {
        assert!(request.target_bytes > 0);
        CALLS.fetch_add(1, Ordering::Relaxed);
        0u64
    }));
    two_ticks("the line to be armed");
    let kept: Vec<Vec<u8>> = (0..220).map(|_| vec![1u8; 1 << 20]).collect();
    wait_until("a cleanup above the line", cleaned_above_the_line);
    // Not by the tick alone, which would have found it as well, later.
    let passed = get_memory_manager().stats().heap_line_passed_total;
    assert!(passed > 0, "the heap's line told nobody");
    wait_until("the hook", || CALLS.load(Ordering::Relaxed) > 0);
    wait_until("the warning", || !log.lines("memory is high").is_empty());
    assert!(get_memory_manager().pressure() >= PressureLevel::High);
    drop(kept);
    wait_until("the way back", || {
        get_memory_manager().pressure() == PressureLevel::Normal
    });
    drop(registration);
}

#[test]
fn two_thousand_threads_that_each_leave_a_little_are_seen() {
    if !alone("two_thousand_threads_that_each_leave_a_little_are_seen") {
        return;
    }
    drop(passes_its_limit());
    wait_until("a manager", || {
        get_memory_manager().stats().cleanups_total > 0
    });
    // 200 KiB are below the meter's interval: none of these threads ever has an event.
    let kept: Vec<Vec<u8>> = (0..2000)
        .map(|_| std::thread::spawn(|| vec![1u8; 200 << 10]).join().unwrap())
        .collect();
    wait_until("a cleanup above the line", cleaned_above_the_line);
    assert!(get_memory_manager().usage().used_bytes > 256 << 20);
    drop(kept);
}

#[test]
fn what_is_reserved_and_never_touched_raises_nothing() {
    if !alone("what_is_reserved_and_never_touched_raises_nothing") {
        return;
    }
    let manager = get_memory_manager();
    let mut reserved: Vec<Vec<u8>> = (0..8).map(|_| vec![0u8; 1 << 30]).collect();
    // The worker arms the line when it comes to it: perhaps above what was reserved before.
    wait_until("the heap to pass its line", || {
        reserved.push(vec![0u8; 1 << 30]);
        manager.stats().heap_line_passed_total > 0
    });
    // By then it would have said so.
    two_ticks("two looks of the worker");
    assert_eq!(manager.pressure(), PressureLevel::Normal);
    let last = manager.stats().last_cleanup;
    assert!(
        last.as_ref()
            .is_none_or(|report| report.reason != Some(CleanupReason::Pressure)),
        "{last:?}"
    );
    assert!(manager.usage().heap.unwrap().active_bytes > 8 << 30);
    drop(reserved);
}
