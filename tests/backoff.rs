//! A service that stays above its line: cleanups in vain are rare, and those that return something follow each other.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use plimsoll::{ByteSize, CleanupFn, CleanupReason, MemoryManager};
use support::{assert_success, child, is_child, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;
const LOOKS_AT_THE_CLOCK: u32 = 2_000_000;

/// A manager whose limit is always passed.
fn overloaded() -> MemoryManager {
    MemoryManager::builder()
        .limit(ByteSize::mib(1))
        .cleanup_threshold(ByteSize::kib(1))
        .cleanup_deadline(Duration::from_secs(60))
        .build()
        .unwrap()
}

/// Some 50 ms of a processor, however many others want it.
fn work() {
    for _ in 0..LOOKS_AT_THE_CLOCK {
        std::hint::black_box(Instant::now());
    }
}

/// The processor time of the next cleanup that nobody asked for and that called hooks, and when it was seen.
fn next_cleanup(manager: &MemoryManager, seen_total: &mut u64) -> (Duration, Instant) {
    let mut seen = None;
    wait_until("the next cleanup", || {
        let stats = manager.stats();
        let is_next = stats.cleanups_total > *seen_total;
        *seen_total = stats.cleanups_total;
        // Purges go on while hooks rest.
        seen = stats
            .last_cleanup
            .filter(|report| is_next && !report.hooks.is_empty());
        seen.is_some()
    });
    let report = seen.unwrap();
    assert_ne!(report.reason, Some(CleanupReason::Forced));
    (Duration::from_micros(report.cpu_us), Instant::now())
}

#[test]
fn cleanups_in_vain_take_a_twentieth_of_a_core_at_most() {
    let start = Instant::now();
    let manager = overloaded();
    // It claims the world; what was measured decides.
    let _liar = manager.register_cleanup(CleanupFn::new("liar", |_| {
        work();
        u64::MAX
    }));
    let mut seen_total = 0;
    let mut cost = Duration::ZERO;
    for _ in 0..4 {
        let (next, ended) = next_cleanup(&manager, &mut seen_total);
        // Those before this one have been rested from.
        assert!(
            cost * 20 <= ended - start,
            "{cost:?} of {:?}",
            ended - start
        );
        cost += next;
    }
    assert!(
        cost > Duration::from_millis(20),
        "{cost:?}: the hook has not worked"
    );
    // Who waits gets a cleanup all the same.
    assert_eq!(manager.force_cleanup().hooks.len(), 1);
}

#[test]
fn cleanups_that_return_something_follow_each_other() {
    // Alone, so that RSS is its own.
    if !is_child() {
        let output = child("cleanups_that_return_something_follow_each_other").output();
        return assert_success(&output.unwrap());
    }
    // More than a tenth of what is held, and so of the target, each time.
    let cache = Mutex::new((0..10).map(|_| vec![1u8; 20 * MIB]).collect::<Vec<_>>());
    let manager = overloaded();
    let _cache = manager.register_cleanup(CleanupFn::new("cache", move |_| {
        work();
        drop(cache.lock().unwrap().pop());
        0u64
    }));
    let mut seen_total = 0;
    let (mut cost, mut ended) = next_cleanup(&manager, &mut seen_total);
    wait_until(
        "two that follow each other sooner than futile ones may",
        || {
            let (next_cost, next_ended) = next_cleanup(&manager, &mut seen_total);
            let soon = next_ended - ended < cost * 19;
            (cost, ended) = (next_cost, next_ended);
            soon
        },
    );
}
