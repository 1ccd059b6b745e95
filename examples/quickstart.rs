//! How much memory, out of how much; and giving some back.

use plimsoll::{CleanupFn, get_memory_manager};
use std::sync::{Arc, Mutex};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

fn main() {
    let manager = get_memory_manager();
    println!("now:    {}", manager.usage());

    // A cache that knows how to give memory back, registered for as long as `_registration` lives.
    let cache = Arc::new(Mutex::new(vec![vec![1u8; 1024]; 100_000]));
    let _registration = manager.register_cleanup(CleanupFn::new("cache", {
        let cache = Arc::clone(&cache);
        move |_request| std::mem::take(&mut *cache.lock().unwrap()).len() * 1024
    }));
    println!("filled: {}", manager.usage());

    println!("{}", manager.force_cleanup());
    println!("after:  {}", manager.usage());

    for finding in manager.findings() {
        println!("{finding}");
    }
}
