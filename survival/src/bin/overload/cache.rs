//! [`Cache`]: events by id, and nothing that keeps it from growing unless a bound is given.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::Event;

/// Enough that handlers rarely meet at one lock, and that the table of one shard grows in small steps.
const SHARDS: usize = 16;
/// What is taken out of one shard before its lock is let go, so that no handler waits for long: so many events, or so much.
const EVICTED_AT_ONCE: usize = 64;
const EVICTED_BYTES_AT_ONCE: u64 = 256 << 10;

pub struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    bound_bytes_per_shard: u64,
}

#[derive(Default)]
struct Shard {
    events: HashMap<u64, Arc<Event>>,
    /// The oldest first.
    order: VecDeque<u64>,
    held_bytes: u64,
    inserted: u64,
    evicted: u64,
}

/// What became of the events that were inserted: `inserted == held + evicted`, at any time.
#[derive(Debug, Default, PartialEq)]
pub struct CacheCounts {
    pub inserted: u64,
    pub evicted: u64,
    pub held: u64,
    pub held_bytes: u64,
}

impl Cache {
    pub fn new(bound_bytes: Option<u64>) -> Self {
        Cache {
            shards: Default::default(),
            bound_bytes_per_shard: bound_bytes.map_or(u64::MAX, |bytes| bytes / SHARDS as u64),
        }
    }

    pub fn get(&self, id: u64) -> Option<Arc<Event>> {
        self.shard(id).events.get(&id).map(Arc::clone)
    }

    /// Keeps `event`, unless another was faster.
    pub fn insert(&self, event: Arc<Event>) {
        let id = event.id;
        let mut shard = self.shard(id);
        shard.insert(event);
        while shard.held_bytes > self.bound_bytes_per_shard {
            let oldest = shard.take_oldest();
            // Freeing needs no lock.
            drop(shard);
            if oldest.is_none() {
                return;
            }
            drop(oldest);
            shard = self.shard(id);
        }
    }

    /// Lets the oldest go, shard by shard, until `target_bytes` are or `may_go_on` says no. How many bytes went.
    pub fn evict(&self, target_bytes: u64, mut may_go_on: impl FnMut() -> bool) -> u64 {
        let mut went = Vec::with_capacity(EVICTED_AT_ONCE);
        let mut freed_bytes = 0;
        loop {
            let before_bytes = freed_bytes;
            for shard in &self.shards {
                if freed_bytes >= target_bytes || !may_go_on() {
                    return freed_bytes;
                }
                freed_bytes += lock(shard).evict_some(&mut went);
                went.clear();
            }
            if freed_bytes == before_bytes {
                return freed_bytes;
            }
        }
    }

    pub fn counts(&self) -> CacheCounts {
        let mut sum = CacheCounts::default();
        for shard in &self.shards {
            let shard = lock(shard);
            sum.inserted += shard.inserted;
            sum.evicted += shard.evicted;
            sum.held += shard.events.len() as u64;
            sum.held_bytes += shard.held_bytes;
        }
        sum
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[id as usize % SHARDS])
    }
}

/// A panic elsewhere must not look like a broken cache here.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn insert(&mut self, event: Arc<Event>) {
        let (id, bytes) = (event.id, event.cached_bytes());
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.events.entry(id) {
            vacant.insert(event);
            self.order.push_back(id);
            self.inserted += 1;
            self.held_bytes += bytes;
        }
    }

    fn take_oldest(&mut self) -> Option<Arc<Event>> {
        let event = self.events.remove(&self.order.pop_front()?)?;
        self.evicted += 1;
        self.held_bytes -= event.cached_bytes();
        Some(event)
    }

    /// Moves some of the oldest to `went`; how many bytes they hold.
    fn evict_some(&mut self, went: &mut Vec<Arc<Event>>) -> u64 {
        let mut freed_bytes = 0;
        while went.len() < EVICTED_AT_ONCE && freed_bytes < EVICTED_BYTES_AT_ONCE {
            let Some(event) = self.take_oldest() else {
                break;
            };
            freed_bytes += event.cached_bytes();
            went.push(event);
        }
        freed_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64) -> Arc<Event> {
        Arc::new(Event {
            id,
            exchange: "x".into(),
            symbol: "y".into(),
            quantity: 1,
            ts_ms: 0,
            levels: Box::default(),
            note: "z".repeat(1000).into(),
        })
    }

    #[test]
    fn the_oldest_goes_first_and_the_sums_come_out() {
        let cache = Cache::new(None);
        for id in 0..320 {
            cache.insert(event(id));
            cache.insert(event(id));
        }
        let each_bytes = event(0).cached_bytes();
        assert_eq!(cache.counts().held_bytes, 320 * each_bytes);
        let freed_bytes = cache.evict(1, || true);
        assert_eq!(freed_bytes, 20 * each_bytes, "one shard's, not more");
        assert!(cache.get(0).is_none() && cache.get(1).is_some());
        assert_eq!(cache.evict(u64::MAX, || true), 300 * each_bytes);
        let counts = cache.counts();
        assert_eq!(
            (
                counts.inserted,
                counts.evicted,
                counts.held,
                counts.held_bytes
            ),
            (320, 320, 0, 0)
        );
    }

    #[test]
    fn a_bound_is_kept() {
        let each_bytes = event(0).cached_bytes();
        let cache = Cache::new(Some(SHARDS as u64 * 3 * each_bytes));
        for id in 0..1600 {
            cache.insert(event(id));
        }
        let counts = cache.counts();
        assert_eq!((counts.held, counts.evicted), (48, 1552));
        assert!(cache.get(1599).is_some() && cache.get(0).is_none());
    }

    #[test]
    fn the_deadline_ends_an_eviction() {
        let cache = Cache::new(None);
        for id in 0..16_000 {
            cache.insert(event(id));
        }
        let mut left = 2;
        let freed_bytes = cache.evict(u64::MAX, || {
            left -= 1;
            left >= 0
        });
        assert_eq!(
            freed_bytes,
            2 * EVICTED_AT_ONCE as u64 * event(0).cached_bytes()
        );
    }
}
