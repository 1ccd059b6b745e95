//! A moka cache as a hook. Its capacity can't change and nothing evicts "the next ten", so a cleanup drops by a predicate, here by
//! age. What that costs, compared with a cache that shrinks by its own policy:
//! - what everybody asks for goes when it is old: moka's order of use can't be asked for;
//! - all entries are looked at once, to choose the age; and until a predicate has met them all, each `get` runs it as well;
//! - moka keeps more per entry, from the day it is built, for `support_invalidation_closures`.
//!
//! If all may go, `invalidate_all` and `run_pending_tasks` need neither predicate nor support.

use moka::sync::Cache;
use plimsoll::{CleanupFn, CleanupRequest, get_memory_manager};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Moka does not say how old a value is, so the value does: the lower, the older.
#[derive(Clone)]
struct Page {
    born: u64,
    text: Arc<[u8]>,
}

fn bytes_of(page: &Page) -> u64 {
    page.text.len() as u64
}

/// Drops the oldest pages, about as many as are asked for, and says by how much the cache became lighter.
fn evict(cache: &Cache<u64, Page>, request: &CleanupRequest) -> u64 {
    // Sizes are up to date after the tasks only.
    cache.run_pending_tasks();
    let before_bytes = cache.weighted_size();
    let mut ages: Vec<(u64, u64)> = cache
        .iter()
        .map(|(_, page)| (page.born, bytes_of(&page)))
        .collect();
    ages.sort_unstable();
    let mut sum_bytes = 0;
    let last = ages.iter().take_while(|(_, bytes)| {
        let wanted = sum_bytes < request.target_bytes;
        sum_bytes += bytes;
        wanted
    });
    let Some(&(youngest, _)) = last.last() else {
        return 0;
    };
    cache
        .invalidate_entries_if(move |_, page| page.born <= youngest)
        .expect("the cache was built for it");
    // Each call looks at some hundred entries, those first that were written first: when one finds nothing, the old ones are
    // gone, but for one in 385 (moka 0.12.16 skips the one after each batch).
    let mut size_bytes = u64::MAX;
    while cache.weighted_size() < size_bytes && Instant::now() < request.deadline {
        size_bytes = cache.weighted_size();
        cache.run_pending_tasks();
    }
    before_bytes.saturating_sub(cache.weighted_size())
}

fn main() {
    let cache = Cache::builder()
        .weigher(|_, page: &Page| bytes_of(page) as u32)
        .max_capacity(64 << 20)
        .support_invalidation_closures()
        .build();
    let manager = get_memory_manager();
    let _registration = manager.register_cleanup(CleanupFn::new("pages", {
        let cache = cache.clone();
        move |request| evict(&cache, request)
    }));

    let clock = AtomicU64::new(0);
    for id in 0..3000 {
        let born = clock.fetch_add(1, Ordering::Relaxed);
        let text = vec![1; 16 << 10].into();
        cache.insert(id, Page { born, text });
    }
    println!("filled: {}", manager.usage());
    println!("{}", manager.force_cleanup());
    println!("after:  {}", manager.usage());
    cache.run_pending_tasks();
    println!("{} pages are left", cache.entry_count());
}
