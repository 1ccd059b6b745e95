//! A real `quick_cache` under a real manager: memory comes back, and nobody is kept from working meanwhile.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use plimsoll::{ByteSize, CleanupHook, HookOutcome, QuickCacheHook, get_memory_manager};
use quick_cache::{Weighter, sync::Cache};
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const PAGE_BYTES: u64 = 4096;
const PAGES: u64 = 16 << 10;

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Arc<[u8]>> for Bytes {
    fn weight(&self, _key: &u64, value: &Arc<[u8]>) -> u64 {
        value.len() as u64
    }
}

fn page(id: u64) -> Arc<[u8]> {
    vec![id as u8; PAGE_BYTES as usize].into()
}

#[test]
fn memory_comes_back_while_readers_and_writers_go_on() {
    let capacity = PAGES * PAGE_BYTES;
    let cache = Arc::new(Cache::with_weighter(PAGES as usize, capacity, Bytes));
    let manager = get_memory_manager();
    let floor = ByteSize::bytes(capacity / 8);
    let hook = Arc::new(QuickCacheHook::new("pages", Arc::clone(&cache)).floor(floor));
    let _registration = manager.register_cleanup(Arc::clone(&hook));
    (0..2 * PAGES).for_each(|id| cache.insert(id, page(id)));
    let (filled, estimate) = (manager.usage(), hook.estimate().unwrap());

    let stop = AtomicBool::new(false);
    let (read, wrote) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for id in (0..2 * PAGES).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                if let Some(page) = cache.get(&id) {
                    assert!(page.iter().all(|byte| *byte == id as u8));
                }
                read.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            // The same few over and over: this thread must not fill what the cleanup empties.
            for id in (0..16).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                cache.insert(id, page(id));
                wrote.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait_until("both work", || {
            read.load(Ordering::Relaxed) > 0 && wrote.load(Ordering::Relaxed) > 0
        });
        let report = manager.force_cleanup();
        let (read_by_then, wrote_by_then) =
            (read.load(Ordering::Relaxed), wrote.load(Ordering::Relaxed));
        wait_until("both go on", || {
            read.load(Ordering::Relaxed) > read_by_then
                && wrote.load(Ordering::Relaxed) > wrote_by_then
        });
        stop.store(true, Ordering::Relaxed);

        let hook = &report.hooks[0];
        assert_eq!(hook.outcome, HookOutcome::Completed);
        assert!(
            hook.estimated_bytes.unwrap().abs_diff(estimate) < 1 << 20,
            "{report}"
        );
        let claimed = hook.claimed_bytes.unwrap();
        // The eviction runs on the runner's thread, which sees what it frees.
        assert!(hook.freed_bytes.unwrap() > claimed * 9 / 10, "{report}");
        assert!(claimed > capacity * 4 / 5, "{report}");
    });

    assert_eq!(cache.capacity(), capacity);
    assert!(cache.weight() > capacity / 16 && cache.weight() < capacity / 6);
    let after = manager.usage();
    let heap_fell = filled.heap.unwrap().active_bytes - after.heap.unwrap().active_bytes;
    assert!(heap_fell > capacity * 3 / 4, "{filled} {after}");
    assert!(
        filled.rss_bytes - after.rss_bytes > capacity / 2,
        "{filled} {after}"
    );
}
