//! What must not allocate does not: counted by the allocator itself.

#![cfg(feature = "jemalloc")]

use plimsoll::{MemoryLimit, PeriodicCleanup, checkpoint, get_memory_manager};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Bytes that this thread has allocated, by jemalloc's own count.
fn allocated() -> u64 {
    tikv_jemalloc_ctl::thread::allocatedp::read().unwrap().get()
}

#[track_caller]
fn allocates_nothing(what: &str, mut action: impl FnMut()) {
    // The first call resolves this thread's counters and finds its site.
    action();
    let before = allocated();
    for _ in 0..1000 {
        action();
    }
    assert_eq!(allocated() - before, 0, "bytes allocated by {what}");
}

#[test]
fn hot_paths_and_usage_allocate_nothing() {
    let manager = get_memory_manager();
    allocates_nothing("usage", || {
        std::hint::black_box(manager.usage());
    });
    allocates_nothing("pressure", || {
        std::hint::black_box(manager.pressure());
    });
    allocates_nothing("enter and exit", || drop(MemoryLimit::mib(1).enter()));
    allocates_nothing("checkpoint without a scope", || checkpoint().unwrap());
    let scope = MemoryLimit::mib(1).named("around").enter();
    allocates_nothing("checkpoint in a scope", || checkpoint().unwrap());
    allocates_nothing("check", || scope.check().unwrap());
    allocates_nothing("finish", || {
        std::hint::black_box(MemoryLimit::mib(1).named("within").enter().finish());
    });
    allocates_nothing("tick, ring included", || PeriodicCleanup::every(10).tick());
    allocates_nothing("request_cleanup", || manager.request_cleanup());
    allocates_nothing("thread_idle", plimsoll::thread_idle);
    // The counter does count.
    let before = allocated();
    std::hint::black_box(vec![1u8; 100]);
    assert!(allocated() - before >= 100);
}

#[test]
fn crossing_a_limit_allocates_nothing_on_the_thread_that_crosses() {
    // Before: the first crossing of a process without a manager starts one, which does allocate.
    get_memory_manager();
    let kept = vec![1u8; 4096];
    let pair = || {
        let before = allocated();
        let more = vec![1u8; 4096];
        let plain = allocated() - before;
        drop(more);
        plain
    };
    let plain = pair();
    for _ in 0..100 {
        let before = allocated();
        let scope = MemoryLimit::bytes(1).named("crossed").enter();
        let more = vec![1u8; 4096];
        assert!(scope.check().is_err());
        drop(scope);
        assert_eq!(allocated() - before, plain);
        drop(more);
    }
    drop(kept);
}
