//! What a scrape costs: 50 sites with names of their own, and as many that share the last line.
//!
//! `cargo bench -p plimsoll-peers --features prometheus --bench exposition`. Rendering alone, into a string that is large enough: the
//! snapshot before it is taken at most once a second, however many scrape.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll::telemetry::prometheus::render;
use plimsoll::{MemoryLimit, Site, get_memory_manager};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

const SITES: usize = 100;

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
}

criterion_group!(benches, exposition);
criterion_main!(benches);
