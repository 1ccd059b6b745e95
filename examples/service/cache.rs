//! [`EventCache`]: every event once, the oldest given back when memory is asked for.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use plimsoll::{ClaimedBytes, CleanupHook, CleanupRequest, periodic_cleanup};

use crate::event::Event;

/// Enough that handlers rarely meet at one lock, and that the table of one shard grows in small steps.
const SHARDS: usize = 16;
/// Evicted from one shard before it is the next one's turn, so that no handler waits for long.
const EVICTED_AT_ONCE: usize = 64;
/// The newest events of a shard can't be spared: duplicates come soon after their originals.
const KEPT_PER_SHARD: usize = 16;

pub struct EventCache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    ids: HashSet<Arc<str>>,
    /// The oldest first.
    events: VecDeque<Event>,
    accepted: u64,
    duplicates: u64,
    evicted: u64,
    held_bytes: u64,
}

/// What became of the events that were inserted: `accepted == held + evicted`, at any time.
#[derive(Default)]
pub struct CacheCounts {
    pub accepted: u64,
    pub duplicates: u64,
    pub evicted: u64,
    pub held: u64,
    pub held_bytes: u64,
    /// What the tables take beside that; they shrink when most of what is in them has gone.
    pub table_bytes: u64,
}

impl EventCache {
    pub fn new() -> Self {
        EventCache {
            shards: Default::default(),
            hasher: RandomState::new(),
        }
    }

    /// Whether it was new.
    #[periodic_cleanup(100)]
    pub fn insert(&self, event: Event) -> bool {
        let hash = self.hasher.hash_one(&event.id);
        self.shards[hash as usize % SHARDS].lock().insert(event)
    }

    pub fn counts(&self) -> CacheCounts {
        let mut sum = CacheCounts::default();
        for shard in &self.shards {
            let shard = shard.lock();
            sum.accepted += shard.accepted;
            sum.duplicates += shard.duplicates;
            sum.evicted += shard.evicted;
            sum.held += shard.events.len() as u64;
            sum.held_bytes += shard.held_bytes;
            sum.table_bytes += shard.table_bytes();
        }
        sum
    }
}

impl CleanupHook for EventCache {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        let mut freed_bytes = 0;
        while freed_bytes < request.target_bytes && Instant::now() < request.deadline {
            let round: u64 = self.shards.iter().map(|shard| shard.lock().evict()).sum();
            if round == 0 {
                break;
            }
            freed_bytes += round;
        }
        ClaimedBytes::bytes(freed_bytes)
    }

    fn name(&self) -> &str {
        "event cache"
    }

    fn priority(&self) -> i32 {
        10
    }

    fn estimate(&self) -> Option<u64> {
        let counts = self.counts();
        Some(counts.held_bytes + counts.table_bytes)
    }
}

impl Shard {
    fn insert(&mut self, event: Event) -> bool {
        let new = self.ids.insert(Arc::clone(&event.id));
        if new {
            self.accepted += 1;
            self.held_bytes += event.heap_bytes();
            self.events.push_back(event);
        } else {
            self.duplicates += 1;
        }
        new
    }

    fn table_bytes(&self) -> u64 {
        let events = self.events.capacity() * size_of::<Event>();
        let ids = self.ids.capacity() * size_of::<Arc<str>>();
        (events + ids) as u64
    }

    /// Lets some of the oldest go; how many bytes they held, and the tables with them.
    fn evict(&mut self) -> u64 {
        let spare = self.events.len().saturating_sub(KEPT_PER_SHARD);
        let mut freed_bytes = 0;
        for event in self.events.drain(..spare.min(EVICTED_AT_ONCE)) {
            self.ids.remove(&event.id);
            self.evicted += 1;
            freed_bytes += event.heap_bytes();
        }
        self.held_bytes -= freed_bytes;
        // Tables keep their size when what is in them goes: with a quarter of it in use a smaller copy is worth its while.
        let tables_bytes = self.table_bytes();
        if self.events.len() < self.events.capacity() / 4 {
            self.events.shrink_to(2 * self.events.len());
            self.ids.shrink_to(2 * self.ids.len());
        }
        freed_bytes + tables_bytes.saturating_sub(self.table_bytes())
    }
}
