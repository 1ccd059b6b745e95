//! What it costs to enter a scope and to leave it, in malloc and free pairs, and what the questions inside cost.
//!
//! Bias: the pair is jemalloc's best case (one thread, one size, always out of the thread's cache) and so is each scope
//! (nothing around it, nothing allocated in it, its site in the cache). A loop of nothing else shows the throughput of a
//! warm predictor; the first scope of a site costs some hundred times as much. The scopes with blocks in them end with a peak
//! that differs from the one before, so that whoever keeps a ledger of peaks is not always at the same place. Two
//! threads are timed by their own processor time, and share a site. The future that is polled does nothing at all and its
//! waker is never called, so a poll is the limit and little else. A reservation has nobody beside it, plenty of room, and
//! memory for its books in the thread's cache.

use std::future;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use plimsoll::{
    ByteSize, MemoryLimit, Site, WithMemoryLimit, checkpoint, get_memory_manager, memory_limit,
};
use plimsoll_peers::series::guard;
use plimsoll_peers::{on_threads, timed};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

const BLOCK_BYTES: usize = 64;
const LIMIT: MemoryLimit = MemoryLimit::mib(100);

const SMALLEST_BYTES: usize = 64;
const DOUBLINGS: usize = 10;
/// Has no divisor in common with the number of sizes, so that all have their turn, large after small.
const STEP: usize = 7;
/// The sizes between one doubling and the next.
const BETWEEN: usize = 4;

const RESERVED: ByteSize = ByteSize::mib(1);
/// Reservations that are held at once, so that dropping them is not timed: few enough that what they free is still in the
/// thread's cache when the next ones are made, enough to hide the clock.
const RESERVATIONS: BatchSize = BatchSize::NumIterations(128);
/// So much has to be allocated that the meter's events have told the allocation clock, on which the quick way rests.
const CLOCK_BYTES: usize = 4 << 20;

static SITE: Site = Site::new("static");

#[memory_limit(100)]
fn limited() {}

fn malloc_and_free(criterion: &mut Criterion) {
    criterion.bench_function(guard::MALLOC_AND_FREE, |b| {
        b.iter(|| drop(black_box(Box::<[u8; BLOCK_BYTES]>::new_uninit())));
    });
}

fn scopes(criterion: &mut Criterion) {
    criterion.bench_function(guard::STATIC_SITE, |b| {
        b.iter(|| drop(LIMIT.at(&SITE).enter()));
    });
    criterion.bench_function(guard::NAMED, |b| {
        b.iter(|| drop(LIMIT.named("named").enter()));
    });
    criterion.bench_function(guard::LOCATED, |b| b.iter(|| drop(LIMIT.enter())));
    criterion.bench_function(guard::ATTRIBUTE, |b| b.iter(limited));
}

/// The time of one thread.
fn scopes_on_threads(threads: u32, scopes: u64) -> Duration {
    on_threads(threads, |start| {
        // The first scope of a thread is not like the others.
        drop(LIMIT.at(&SITE).enter());
        start.wait();
        timed(|| (0..scopes).for_each(|_| drop(LIMIT.at(&SITE).enter())))
    })
}

fn threads(criterion: &mut Criterion) {
    for (series, threads) in [(guard::STATIC_SITE_ONE, 1), (guard::STATIC_SITE_TWO, 2)] {
        criterion.bench_function(series, |b| {
            b.iter_custom(|scopes| scopes_on_threads(threads, scopes));
        });
    }
}

/// From 64 B to 64 KiB, no two that follow each other alike.
fn sizes() -> impl Iterator<Item = usize> {
    let count = DOUBLINGS * BETWEEN + 1;
    (0..count)
        .map(move |turn| {
            let place = turn * STEP % count;
            let doubling = SMALLEST_BYTES << (place / BETWEEN);
            doubling + doubling / BETWEEN * (place % BETWEEN)
        })
        .cycle()
}

fn blocks(criterion: &mut Criterion) {
    criterion.bench_function(guard::BLOCKS, |b| {
        let mut sizes = sizes();
        b.iter(|| drop(black_box(block(&mut sizes))));
    });
    criterion.bench_function(guard::BLOCKS_INSIDE, |b| {
        let mut sizes = sizes();
        b.iter(|| {
            let scope = LIMIT.at(&SITE).enter();
            let block = black_box(block(&mut sizes));
            let checked = scope.check().is_ok();
            drop(block);
            drop(scope);
            checked
        });
    });
}

fn block(sizes: &mut impl Iterator<Item = usize>) -> Vec<u8> {
    Vec::with_capacity(sizes.next().unwrap_or(SMALLEST_BYTES))
}

fn questions(criterion: &mut Criterion) {
    let manager = get_memory_manager();
    criterion.bench_function(guard::PRESSURE, |b| b.iter(|| manager.pressure()));
    criterion.bench_function(guard::PRESSURE_GLOBAL, |b| {
        b.iter(|| get_memory_manager().pressure());
    });
    criterion.bench_function(guard::CHECKPOINT_OUTSIDE, |b| {
        b.iter(|| checkpoint().is_ok());
    });
    let scope = LIMIT.at(&SITE).enter();
    criterion.bench_function(guard::CHECKPOINT_INSIDE, |b| {
        b.iter(|| checkpoint().is_ok());
    });
    drop(scope);
}

/// The same future for both, and as opaque: whether it is ready must not be known in advance.
fn never_ready() -> impl Future<Output = ()> {
    future::poll_fn(|context| {
        black_box(context);
        Poll::Pending
    })
}

fn polls(criterion: &mut Criterion) {
    let mut context = Context::from_waker(Waker::noop());
    criterion.bench_function(guard::POLL, |b| {
        let mut bare = pin!(never_ready());
        b.iter(|| black_box(bare.as_mut()).poll(&mut context).is_pending());
    });
    criterion.bench_function(guard::POLL_LIMITED, |b| {
        let mut limited = pin!(never_ready().with_memory_limit(LIMIT.at(&SITE)));
        b.iter(|| black_box(limited.as_mut()).poll(&mut context).is_pending());
    });
}

fn reservations(criterion: &mut Criterion) {
    let manager = get_memory_manager();
    let scope = LIMIT.at(&SITE).enter();
    for _ in 0..CLOCK_BYTES / BLOCK_BYTES {
        drop(black_box(Box::<[u8; BLOCK_BYTES]>::new_uninit()));
    }
    drop(scope);
    // One that is refused takes another way.
    let reserve = || manager.try_reserve(RESERVED).expect("room for 1 MiB");
    criterion.bench_function(guard::RESERVE, |b| {
        b.iter_batched(|| (), |()| reserve(), RESERVATIONS);
    });
    criterion.bench_function(guard::RESERVE_AND_DROP, |b| {
        b.iter(|| drop(black_box(reserve())));
    });
}

criterion_group!(
    benches,
    malloc_and_free,
    scopes,
    threads,
    blocks,
    questions,
    polls,
    reservations
);
criterion_main!(benches);
