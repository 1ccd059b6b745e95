//! [`Service`]: takes batches in, and accounts for every event in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll::{LimitExceeded, MemoryManager, checkpoint, memory_limit};
use serde::de::IgnoredAny;

use crate::cache::{CacheCounts, EventCache};
use crate::event::{Batch, Event};

pub struct Service {
    pub manager: &'static MemoryManager,
    pub cache: Arc<EventCache>,
    received: AtomicU64,
    rejected: AtomicU64,
}

/// What became of all events: `received == accepted + duplicates + rejected` when no request is open.
pub struct Counts {
    pub received: u64,
    pub rejected: u64,
    pub cache: CacheCounts,
}

/// What became of one batch.
pub struct Ingested {
    pub accepted: u64,
    pub duplicates: u64,
}

/// Why nothing of a batch was taken.
pub enum Refusal {
    Malformed(serde_json::Error),
    OverLimit(LimitExceeded),
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Refusal::Malformed(error)
    }
}

impl From<LimitExceeded> for Refusal {
    fn from(exceeded: LimitExceeded) -> Self {
        Refusal::OverLimit(exceeded)
    }
}

impl Service {
    pub fn new(manager: &'static MemoryManager) -> Self {
        Service {
            manager,
            cache: Arc::new(EventCache::new()),
            received: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    /// Takes all events of a batch in, or none.
    pub fn ingest(&self, body: &[u8]) -> Result<Ingested, Refusal> {
        let events = decode(body).inspect_err(|refusal| {
            if let Refusal::OverLimit(_) = refusal {
                let events = count(body);
                self.received.fetch_add(events, Ordering::Relaxed);
                self.rejected.fetch_add(events, Ordering::Relaxed);
            }
        })?;
        let received = events.len() as u64;
        self.received.fetch_add(received, Ordering::Relaxed);
        let accepted = events
            .into_iter()
            .map(|event| u64::from(self.cache.insert(event)))
            .sum();
        Ok(Ingested {
            accepted,
            duplicates: received - accepted,
        })
    }

    pub fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            cache: self.cache.counts(),
        }
    }
}

/// Under the limit is only what one batch is made of. What the cache keeps, and the tables that grow with it, belong to no
/// request: they are bounded by the process's High line.
#[memory_limit(max_mb = 8, on_exceed = "error", name = "decode")]
fn decode(body: &[u8]) -> Result<Vec<Event>, Refusal> {
    let batch = serde_json::from_slice::<Batch<Event>>(body);
    // The batch's own checkpoint can speak through serde's error only: let the limit speak first.
    checkpoint()?;
    Ok(batch?.0)
}

/// The events of a batch that is refused, without keeping any (`IgnoredAny` has no size); 0 if it is not even JSON.
fn count(body: &[u8]) -> u64 {
    serde_json::from_slice::<Batch<IgnoredAny>>(body).map_or(0, |batch| batch.0.len() as u64)
}
