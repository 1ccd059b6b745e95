//! What it costs to count a call, beside the cheapest counters there are, on one thread and on two at once.
//!
//! Bias: a loop of nothing but counting. Every 100th call asks the worker for a check, and this loop makes a hundred calls in
//! less time than the worker needs for one round, so "every 100" shows a worker that never sleeps: a program that does some
//! work per call is nearer to "every 1000000". Threads are timed by their own processor time, so that other programs on the
//! machine do not count; nor does what the worker does on the other processor.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll::{PeriodicCleanup, get_memory_manager, periodic_cleanup};
use plimsoll_peers::series::periodic;
use plimsoll_peers::{on_threads, timed};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

const OFTEN: u32 = 100;
const SELDOM: u32 = 1_000_000;

static SHARED: AtomicU64 = AtomicU64::new(0);
static NAMED_OFTEN: PeriodicCleanup = PeriodicCleanup::every(OFTEN).named("often");
static NAMED_SELDOM: PeriodicCleanup = PeriodicCleanup::every(SELDOM).named("seldom");

thread_local! {
    static LOCAL: Cell<u64> = const { Cell::new(0) };
}

#[periodic_cleanup(100)]
fn counted_often() {}

#[periodic_cleanup(1_000_000)]
fn counted_seldom() {}

fn thread_local() {
    LOCAL.set(LOCAL.get() + 1);
}

fn shared_atomic() {
    SHARED.fetch_add(1, Ordering::Relaxed);
}

/// Calls `count` so many times on each of so many threads at once, and returns the time of one thread.
fn counting(threads: u32, calls: u64, count: impl Fn() + Sync) -> Duration {
    on_threads(threads, |start| {
        // Can be seen from elsewhere, as the counters of the library can.
        LOCAL.with(|count| {
            black_box(count);
        });
        start.wait();
        timed(|| {
            for call in 0..calls {
                count();
                // Whatever can be seen from elsewhere must be in memory here: no counting in a register.
                black_box(call);
            }
        })
    })
}

fn bench(criterion: &mut Criterion, series: &str, threads: u32, count: impl Fn() + Sync) {
    criterion.bench_function(series, |b| {
        b.iter_custom(|calls| counting(threads, calls, &count));
    });
}

fn peers(criterion: &mut Criterion) {
    bench(criterion, periodic::ATOMIC, 1, shared_atomic);
    bench(criterion, periodic::ATOMIC_TWO, 2, shared_atomic);
    bench(criterion, periodic::THREAD_LOCAL, 1, thread_local);
    bench(criterion, periodic::THREAD_LOCAL_TWO, 2, thread_local);
}

fn counters(criterion: &mut Criterion) {
    // Somebody must hear the ring.
    get_memory_manager();
    let (named_often, named_seldom) = (|| NAMED_OFTEN.tick(), || NAMED_SELDOM.tick());
    bench(criterion, periodic::NAMED_SELDOM, 1, named_seldom);
    bench(criterion, periodic::NAMED_SELDOM_TWO, 2, named_seldom);
    bench(criterion, periodic::INLINE_SELDOM, 1, || {
        PeriodicCleanup::every(SELDOM).tick();
    });
    bench(criterion, periodic::ATTRIBUTE_SELDOM, 1, counted_seldom);
    bench(criterion, periodic::NAMED_OFTEN, 1, named_often);
    bench(criterion, periodic::NAMED_OFTEN_TWO, 2, named_often);
    bench(criterion, periodic::INLINE_OFTEN, 1, || {
        PeriodicCleanup::every(OFTEN).tick();
    });
    bench(criterion, periodic::ATTRIBUTE_OFTEN, 1, counted_often);
}

criterion_group!(benches, peers, counters);
criterion_main!(benches);
