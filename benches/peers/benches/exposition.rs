//! What a scrape costs: 50 sites with names of their own, and as many that share the last line.
//!
//! `cargo bench -p plimsoll-peers --features prometheus --bench exposition`. Rendering alone, into a string that is large enough; and
//! the snapshot before it, which is taken at most once a second, however many scrape: one that sleeps a second before each finds the
//! processor's caches cold, as a scrape does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use plimsoll::telemetry::prometheus::render;
use plimsoll::{MemoryLimit, Site, get_memory_manager};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

const SITES: usize = 100;
/// The one before is kept for a second.
const SPACING: Duration = Duration::from_millis(1010);

fn exposition(criterion: &mut Criterion) {
    for number in 0..SITES {
        let name: &'static str = format!("service::handlers::site_{number}").leak();
        let site: &'static Site = Box::leak(Box::new(Site::new(name)));
        let scope = MemoryLimit::bytes(1).at(site).enter();
        black_box(vec![1u8; 1000 * (number + 1)]);
        drop(scope);
    }
    let snapshot = get_memory_manager().snapshot();
    assert_eq!(snapshot.sites().len(), 51);
    let mut text = String::new();
    render(&snapshot, &mut text);
    criterion.bench_function("render 50 sites", |b| {
        b.iter(|| {
            text.clear();
            render(&snapshot, &mut text);
            text.len()
        });
    });
    let mut seconds = criterion.benchmark_group("a second");
    seconds.sample_size(10).sampling_mode(SamplingMode::Flat);
    seconds.warm_up_time(Duration::from_secs(1));
    seconds.measurement_time(Duration::from_secs(11));
    seconds.bench_function("snapshot of 100 sites", |b| {
        b.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    std::thread::sleep(SPACING);
                    let start = Instant::now();
                    black_box(get_memory_manager().snapshot());
                    start.elapsed()
                })
                .sum()
        });
    });
}

criterion_group!(benches, exposition);
criterion_main!(benches);
