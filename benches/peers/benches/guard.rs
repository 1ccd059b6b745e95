//! What it costs to enter a scope and to leave it, in malloc and free pairs, and what the questions inside cost.
//!
//! Bias: the pair is jemalloc's best case (one thread, one size, always out of the thread's cache) and so is each scope
//! (nothing around it, nothing allocated in it, its site in the cache). A loop of nothing else shows the throughput of a
//! warm predictor; the first scope of a site costs some hundred times as much.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll::{MemoryLimit, Site, checkpoint, get_memory_manager, memory_limit};
use plimsoll_peers::series::guard;

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

const BLOCK_BYTES: usize = 64;
const LIMIT: MemoryLimit = MemoryLimit::mib(100);

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

criterion_group!(benches, malloc_and_free, scopes, questions);
criterion_main!(benches);
