//! [`Pool`]: the shards, lent to threads.
//!
//! A shard that comes back keeps its calls, where every reader finds them, and the next thread goes on counting on top: a
//! thread that ends moves nothing.

use super::shard::Shard;
use crate::sys::atomic::{AtomicBool, AtomicUsize, Ordering, const_fn};

pub(crate) struct Pool<const SHARDS: usize, const PLACES: usize, const WORDS: usize> {
    /// Tells a thread that comes too late in one look; the flags decide.
    lent_count: AtomicUsize,
    lent: [AtomicBool; SHARDS],
    /// No thread had a shard at or after this index yet.
    used: AtomicUsize,
    shards: [Shard<PLACES, WORDS>; SHARDS],
}

impl<const SHARDS: usize, const PLACES: usize, const WORDS: usize> Pool<SHARDS, PLACES, WORDS> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Pool {
                lent_count: AtomicUsize::new(0),
                lent: array![AtomicBool::new(false)],
                used: AtomicUsize::new(0),
                shards: array![Shard::new()],
            }
        }
    }

    /// The index of a shard for one thread alone; `None` when all are lent.
    pub(crate) fn lend(&self) -> Option<usize> {
        if self.lent_count.load(Ordering::Relaxed) >= SHARDS {
            return None;
        }
        let index = self.lent.iter().position(|lent| {
            // Acquire: all that the last thread counted.
            !lent.load(Ordering::Relaxed) && !lent.swap(true, Ordering::Acquire)
        })?;
        self.lent_count.fetch_add(1, Ordering::Relaxed);
        self.used.fetch_max(index + 1, Ordering::Relaxed);
        Some(index)
    }

    /// Takes a shard back from its thread.
    pub(crate) fn take_back(&self, index: usize) {
        self.lent_count.fetch_sub(1, Ordering::Relaxed);
        self.lent[index].store(false, Ordering::Release);
    }

    pub(crate) fn shard(&self, index: usize) -> &Shard<PLACES, WORDS> {
        &self.shards[index]
    }

    /// Every shard that may hold calls.
    pub(crate) fn used(&self) -> &[Shard<PLACES, WORDS>] {
        &self.shards[..self.used.load(Ordering::Relaxed)]
    }
}
