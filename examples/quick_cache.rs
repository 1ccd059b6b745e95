//! A `quick_cache` that gives memory back by its capacity: `cargo run --example quick_cache --features quick_cache`.

use plimsoll::{ByteSize, QuickCacheHook, get_memory_manager};
use quick_cache::{Weighter, sync::Cache};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// The cache must weigh in bytes: the value, and about what an entry costs.
#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Arc<[u8]>> for Bytes {
    fn weight(&self, _key: &u64, value: &Arc<[u8]>) -> u64 {
        value.len() as u64 + 64
    }
}

fn main() {
    let cache = Arc::new(Cache::with_weighter(16_000, 64 << 20, Bytes));
    let manager = get_memory_manager();
    let hook = QuickCacheHook::new("pages", Arc::clone(&cache)).floor(ByteSize::mib(8));
    let _registration = manager.register_cleanup(hook);
    for id in 0..32_000 {
        cache.insert(id, vec![1; 4096].into());
    }
    println!("filled:  {}", manager.usage());

    // Without a condition a hook is asked for all that can be spared; above the High line for what leads 10 points below it.
    println!("{}", manager.force_cleanup());
    println!("after:   {}", manager.usage());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "holds {:.1} MiB, may hold {:.1} MiB again",
        mib(cache.weight()),
        mib(cache.capacity())
    );
}
