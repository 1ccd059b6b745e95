//! A least-recently-used cache of one's own, with a hook that evicts what has not been asked for the longest.

use plimsoll::{ClaimedBytes, CleanupHook, CleanupRequest, get_memory_manager};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Evicted before the lock is given up, so that no request waits for long.
const EVICTED_AT_ONCE: usize = 256;

#[derive(Default)]
struct Lru(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// The value, and when it was used last: by a counter, not by a clock.
    by_key: HashMap<u64, (Arc<[u8]>, u64)>,
    by_use: BTreeMap<u64, u64>,
    uses: u64,
    held_bytes: u64,
}

impl Entries {
    fn get(&mut self, key: u64) -> Option<Arc<[u8]>> {
        let (value, used) = self.by_key.get_mut(&key)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, key);
        Some(Arc::clone(value))
    }

    fn insert(&mut self, key: u64, value: Arc<[u8]>) {
        self.uses += 1;
        self.held_bytes += value.len() as u64;
        if let Some((old, used)) = self.by_key.insert(key, (value, self.uses)) {
            self.by_use.remove(&used);
            self.held_bytes -= old.len() as u64;
        }
        self.by_use.insert(self.uses, key);
    }

    fn evict(&mut self) -> Option<Arc<[u8]>> {
        let (_, key) = self.by_use.pop_first()?;
        let (value, _) = self.by_key.remove(&key)?;
        self.held_bytes -= value.len() as u64;
        Some(value)
    }
}

impl CleanupHook for Lru {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        let mut freed_bytes = 0;
        while freed_bytes < request.target_bytes && Instant::now() < request.deadline {
            let mut entries = self.0.lock().unwrap();
            let evicted: Vec<_> = std::iter::from_fn(|| {
                let left = freed_bytes < request.target_bytes;
                let value = left.then(|| entries.evict())??;
                freed_bytes += value.len() as u64;
                Some(value)
            })
            .take(EVICTED_AT_ONCE)
            .collect();
            // The values go, here on the hook's thread, when nobody waits for the lock any more.
            drop(entries);
            if evicted.is_empty() {
                break;
            }
        }
        ClaimedBytes::bytes(freed_bytes)
    }

    fn name(&self) -> &str {
        "lru"
    }

    fn estimate(&self) -> Option<u64> {
        Some(self.0.lock().unwrap().held_bytes)
    }
}

fn main() {
    let cache = Arc::new(Lru::default());
    let manager = get_memory_manager();
    let _registration = manager.register_cleanup(Arc::clone(&cache));
    let mut entries = cache.0.lock().unwrap();
    for key in 0..12_500 {
        entries.insert(key, vec![1; 4096].into());
        entries.get(0); // what everybody asks for
    }
    drop(entries);
    println!("filled: {}", manager.usage());
    println!("{}", manager.force_cleanup());
    println!("after:  {}", manager.usage());
}
