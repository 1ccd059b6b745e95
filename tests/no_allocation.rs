//! What must not allocate does not: counted by the allocator itself.

#![cfg(feature = "jemalloc")]

mod support;

use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Waker};

use plimsoll::{
    MemoryLimit, OnExceed, PeriodicCleanup, Site, WithMemoryLimit, checkpoint, get_memory_manager,
};
use support::{assert_success, child, is_child};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Bytes that this thread has allocated, by jemalloc's own count.
fn allocated() -> u64 {
    tikv_jemalloc_ctl::thread::allocatedp::read().unwrap().get()
}

fn allocated_by(action: impl FnOnce()) -> u64 {
    let before = allocated();
    action();
    allocated() - before
}

/// A size class of its own: the allocator counts exactly that.
const BLOCK_BYTES: usize = 4096;

/// A box for `count` blocks, so that nothing but blocks is allocated afterwards.
fn room_for(count: usize) -> Vec<Vec<u8>> {
    Vec::with_capacity(count)
}

fn block() -> Vec<u8> {
    std::hint::black_box(Vec::with_capacity(BLOCK_BYTES))
}

/// More than a thread has places in the ledger, and more than it can have frames.
static SITES: [Site; 40] = [const { Site::new("one of many") }; 40];

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

#[test]
fn events_of_the_meter_allocate_nothing() {
    get_memory_manager();
    const COUNT: usize = 4096;
    let mut kept = room_for(COUNT);
    let scope = MemoryLimit::mib(1000).named("events").enter();
    let bytes = allocated_by(|| {
        kept.extend((0..COUNT).map(|_| block()));
        kept.clear();
    });
    assert_eq!(bytes, (COUNT * BLOCK_BYTES) as u64);
    // Nobody but the meter's events saw the blocks.
    assert!(scope.finish().peak_bytes > 15 << 20);
}

#[test]
fn an_event_in_a_scope_of_many_threads_allocates_nothing() {
    get_memory_manager();
    static SITE: Site = Site::new("shared events");
    let scope = MemoryLimit::mib(1).at(&SITE).enter();
    let handle = scope.handle();
    let work = || {
        const COUNT: usize = 1024;
        let mut kept = room_for(COUNT);
        handle.attach(|| {
            let bytes = allocated_by(|| kept.extend((0..COUNT).map(|_| block())));
            assert_eq!(bytes, (COUNT * BLOCK_BYTES) as u64);
        });
    };
    std::thread::scope(|threads| (0..2).for_each(|_| drop(threads.spawn(work))));
    assert_eq!(SITE.exceeded_total(), 1);
}

/// Blocks, in a scope that never looks itself, until its limit is noticed.
fn cross_inside_an_event(site: &'static Site, kept: &mut Vec<Vec<u8>>) {
    let crossed = site.exceeded_total();
    let bytes = allocated_by(|| {
        while site.exceeded_total() == crossed {
            assert!(kept.len() < kept.capacity(), "nobody noticed");
            kept.push(block());
        }
    });
    assert_eq!(bytes, (kept.len() * BLOCK_BYTES) as u64);
    kept.clear();
}

#[test]
fn crossing_a_limit_inside_an_event_allocates_nothing() {
    get_memory_manager();
    static SITE: Site = Site::new("crossed in an event");
    let mut kept = room_for(2048);
    for _ in 0..50 {
        let scope = MemoryLimit::mib(1).at(&SITE).enter();
        cross_inside_an_event(&SITE, &mut kept);
        drop(scope);
    }
    assert_eq!(SITE.exceeded_total(), 50);
    allocates_nothing("last_crossing", || {
        assert_eq!(SITE.last_crossing().unwrap().limit_bytes, 1 << 20);
    });
}

/// In a process of its own: the crossing wakes the sentry, and that one makes the manager on other threads.
#[test]
fn the_first_crossing_of_a_process_without_a_manager_allocates_nothing() {
    if !is_child() {
        let mut alone =
            child("the_first_crossing_of_a_process_without_a_manager_allocates_nothing");
        return assert_success(&alone.output().unwrap());
    }
    static SITE: Site = Site::new("the first");
    let mut kept = room_for(2048);
    let _scope = MemoryLimit::mib(1).at(&SITE).enter();
    cross_inside_an_event(&SITE, &mut kept);
}

#[test]
fn working_for_a_scope_allocates_nothing() {
    let scope = MemoryLimit::mib(100)
        .on_exceed(OnExceed::Error)
        .named("worked for")
        .enter();
    let inner = MemoryLimit::mib(50).named("worked for within").enter();
    let handle = inner.handle();
    allocates_nothing("checkpoint in a shared scope", || checkpoint().unwrap());
    allocates_nothing("check of a shared scope", || inner.check().unwrap());
    allocates_nothing("one more handle", || drop(inner.handle()));
    allocates_nothing("attach where the scope runs", || handle.attach(|| ()));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            allocates_nothing("attach", || handle.attach(|| ()));
            allocates_nothing("checkpoint of who is attached", || {
                handle.attach(checkpoint).unwrap();
            });
            let mut attached = pin!(handle.attach_future(pending::<()>()));
            let mut context = Context::from_waker(Waker::noop());
            allocates_nothing("a poll of an attached future", || {
                assert!(attached.as_mut().poll(&mut context).is_pending());
            });
        });
    });
    drop((inner, scope));
}

#[test]
fn polls_allocate_nothing() {
    let mut context = Context::from_waker(Waker::noop());
    let limit = MemoryLimit::mib(1).named("polled");
    let mut limited = pin!(pending::<()>().with_memory_limit(limit));
    allocates_nothing("a poll", || {
        assert!(limited.as_mut().poll(&mut context).is_pending());
    });
    allocates_nothing("a future from first to last", || {
        let limited = pin!(async {}.with_memory_limit(limit));
        assert!(limited.poll(&mut context).is_ready());
    });
    let _around = MemoryLimit::mib(1).named("around polls").enter();
    allocates_nothing("a poll in a scope", || {
        assert!(limited.as_mut().poll(&mut context).is_pending());
    });
}

#[test]
fn guards_in_guards_allocate_nothing() {
    fn nest(sites: &'static [Site]) {
        if let Some((site, rest)) = sites.split_first() {
            let _scope = MemoryLimit::mib(1).at(site).enter();
            nest(rest);
            checkpoint().unwrap();
        }
    }
    allocates_nothing("nested guards", || nest(&SITES));
    allocates_nothing("one guard many times", || {
        let limit = MemoryLimit::mib(1).at(&SITES[0]);
        let guards = [limit.enter(), limit.enter(), limit.enter()];
        drop(guards);
    });
}

/// Peaks of all sizes, at more sites than a thread has places for: they move to the book all the time.
#[test]
fn counting_peaks_of_all_sizes_allocates_nothing() {
    let sizes = || (3..22).map(|bits| 1usize << bits);
    for _ in 0..20 {
        for (n, site) in SITES.iter().enumerate() {
            for bytes in sizes().skip(n % 7) {
                let limit = MemoryLimit::mib(100).at(site);
                let counted = allocated_by(|| {
                    let scope = limit.enter();
                    drop(std::hint::black_box(Vec::<u8>::with_capacity(bytes)));
                    scope.check().unwrap();
                    drop(scope);
                });
                // A power of two is a size class. The first scope of a thread may make ready.
                assert!(counted == bytes as u64 || n == 0, "{counted} for {bytes}");
            }
        }
    }
}
