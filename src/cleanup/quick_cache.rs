//! [`QuickCacheHook`]: a `quick_cache::sync::Cache` that gives memory back.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Instant;

use ::quick_cache::sync::Cache;
use ::quick_cache::{Lifecycle, Weighter};

use crate::bytes::ByteSize;
use crate::cleanup::{ClaimedBytes, CleanupHook, CleanupRequest};

/// A cache is shrunk to whole parts of its capacity: this many of them, when there are few entries and when there are many.
///
/// `set_capacity` scales the cache's memory of what it evicted (its ghost list) and rounds it down, at every call; there is no
/// call that raises it again. With capacities of one's own choosing it is gone after a few hundred cleanups, and with it a
/// tenth of the hits. A list that is a multiple of 32 comes back whole from j/32 of the capacity, also in floating point, which
/// does not hold for every j/64. So this loses up to 31 ghosts per shard, once.
const PARTS_OF_FEW: u64 = 16;
const PARTS_OF_MANY: u64 = 32;
/// From here on a shard has many entries: a ghost list is half as long, and must not be shorter than its parts.
const MANY_PER_SHARD: u64 = 128;

/// Makes a [`quick_cache::sync::Cache`](Cache) (version 0.7) a cleanup hook. Feature `quick_cache`.
///
/// The cache's [`Weighter`] must count bytes, and its `estimated_items_capacity` should be about right. A cleanup evicts in the
/// order of the cache's own policy, until the weight is `target_bytes` less: the capacity is lowered part by part, 1/32 (in
/// caches with less than 128 entries per shard 1/16), and is back where it was after each. So up to one part more than
/// the target goes, and one part always stays, even when [all is asked for](crate::MemoryManager::force_cleanup). A capacity far
/// above what the cache ever holds makes for parts too big to be of use.
///
/// What to know:
/// - Evicted entries are dropped on the hook's thread, so the report measures them. What somebody else still holds (an `Arc`) is
///   claimed but not freed, and the cache's own tables stay as large as they were.
/// - A shard is locked while its part is evicted: of 1,000,000 entries in 8 shards, which go in 160 ms, for 1 ms at a time (18 ms
///   if all went at once). Meanwhile an entry that is heavier than what a shard may still hold is not kept.
/// - The capacity is rounded down by the first cleanup, by less than 32 bytes per shard. One that is set during a cleanup is lost.
/// - Pinned entries and those that weigh 0 stay.
///
/// ```
/// use plimsoll::{ByteSize, QuickCacheHook, get_memory_manager};
/// use quick_cache::{Weighter, sync::Cache};
/// use std::sync::Arc;
///
/// #[derive(Clone)]
/// struct Bytes;
///
/// impl Weighter<u64, Arc<[u8]>> for Bytes {
///     fn weight(&self, _key: &u64, value: &Arc<[u8]>) -> u64 {
///         value.len() as u64 + 64 // the entry itself, about
///     }
/// }
///
/// let cache = Arc::new(Cache::with_weighter(10_000, 64 << 20, Bytes));
/// let hook = QuickCacheHook::new("pages", Arc::clone(&cache)).floor(ByteSize::mib(8));
/// let registration = get_memory_manager().register_cleanup(hook);
/// for id in 0..10_000 {
///     cache.insert(id, vec![0; 4096].into());
/// }
/// let report = get_memory_manager().force_cleanup();
/// assert!(report.hooks[0].claimed_bytes > Some(30 << 20));
/// assert!(cache.weight() <= 8 << 20 && cache.capacity() == 64 << 20);
/// ```
pub struct QuickCacheHook {
    name: String,
    priority: i32,
    floor_bytes: u64,
    cache: Arc<dyn Resize>,
}

impl QuickCacheHook {
    /// A hook called `name` that evicts from `cache`.
    pub fn new<Key, Val, We, B, L>(
        name: impl Into<String>,
        cache: Arc<Cache<Key, Val, We, B, L>>,
    ) -> Self
    where
        Key: Eq + Hash,
        Val: Clone,
        We: Weighter<Key, Val> + Clone,
        B: BuildHasher + Clone,
        L: Lifecycle<Key, Val> + Clone,
        Cache<Key, Val, We, B, L>: Send + Sync + 'static,
    {
        QuickCacheHook {
            name: name.into(),
            priority: 0,
            floor_bytes: 0,
            cache,
        }
    }

    /// Hooks with a higher priority run first. Defaults to 0.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// No cleanup lowers the capacity below this. Defaults to 0: all but one part goes when it is asked for.
    #[must_use]
    pub fn floor(mut self, floor: ByteSize) -> Self {
        self.floor_bytes = floor.as_u64();
        self
    }

    fn ladder(&self) -> Option<Ladder> {
        let shards = self.cache.num_shards();
        let many = self.cache.len() >= shards * MANY_PER_SHARD;
        let parts = if many { PARTS_OF_MANY } else { PARTS_OF_FEW };
        Ladder::new(self.cache.capacity(), shards, parts, self.floor_bytes)
    }
}

impl CleanupHook for QuickCacheHook {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        let before_bytes = self.cache.weight();
        let aim_bytes = before_bytes.saturating_sub(request.target_bytes);
        if let Some(ladder) = self.ladder() {
            for lowered_bytes in ladder.steps(aim_bytes) {
                if self.cache.weight() <= aim_bytes || Instant::now() >= request.deadline {
                    break;
                }
                // Back after every part, and also when a value's drop or the weighter panics.
                let _whole = Whole(&*self.cache, ladder.whole_bytes());
                self.cache.set_capacity(lowered_bytes);
            }
        }
        ClaimedBytes::bytes(before_bytes.saturating_sub(self.cache.weight()))
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn estimate(&self) -> Option<u64> {
        let weight_bytes = self.cache.weight();
        let kept_bytes = self
            .ladder()
            .map_or(u64::MAX, |ladder| ladder.lowest_bytes());
        Some(weight_bytes.saturating_sub(kept_bytes))
    }
}

impl fmt::Debug for QuickCacheHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickCacheHook")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .field("floor_bytes", &self.floor_bytes)
            .finish_non_exhaustive()
    }
}

/// The capacities that a cleanup may use: whole parts of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ladder {
    part_bytes: u64,
    parts: u64,
    /// The part that it ends on.
    lowest: u64,
}

impl Ladder {
    /// `None` when the capacity is too small for parts.
    fn new(capacity_bytes: u64, shards: u64, parts: u64, floor_bytes: u64) -> Option<Self> {
        // Every shard has a part that is a whole number.
        let part_bytes = capacity_bytes / shards / parts * shards;
        (part_bytes > 0).then(|| Ladder {
            part_bytes,
            parts,
            lowest: floor_bytes.div_ceil(part_bytes).clamp(1, parts),
        })
    }

    fn whole_bytes(self) -> u64 {
        self.part_bytes * self.parts
    }

    fn lowest_bytes(self) -> u64 {
        self.part_bytes * self.lowest
    }

    /// Down to the first at or below the aim. From the top, because shards may differ: one can be full when the others are not.
    fn steps(self, aim_bytes: u64) -> impl Iterator<Item = u64> {
        let to = (aim_bytes / self.part_bytes).max(self.lowest);
        (to..self.parts)
            .rev()
            .map(move |part| part * self.part_bytes)
    }
}

/// Brings a cache's capacity back when dropped.
struct Whole<'a>(&'a dyn Resize, u64);

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        self.0.set_capacity(self.1);
    }
}

/// What a cleanup needs of a cache, whatever it holds.
trait Resize: Send + Sync {
    fn len(&self) -> u64;
    fn num_shards(&self) -> u64;
    fn weight(&self) -> u64;
    fn capacity(&self) -> u64;
    fn set_capacity(&self, bytes: u64);
}

impl<Key, Val, We, B, L> Resize for Cache<Key, Val, We, B, L>
where
    Key: Eq + Hash,
    Val: Clone,
    We: Weighter<Key, Val> + Clone,
    B: BuildHasher + Clone,
    L: Lifecycle<Key, Val> + Clone,
    Cache<Key, Val, We, B, L>: Send + Sync,
{
    fn len(&self) -> u64 {
        self.len() as u64
    }

    fn num_shards(&self) -> u64 {
        self.num_shards() as u64
    }

    fn weight(&self) -> u64 {
        self.weight()
    }

    fn capacity(&self) -> u64 {
        self.capacity()
    }

    fn set_capacity(&self, bytes: u64) {
        self.set_capacity(bytes);
    }
}

#[cfg(test)]
mod tests;
