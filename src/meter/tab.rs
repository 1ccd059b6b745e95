//! A reservation's tab: how much of the promise is not filled yet, and what of that its pool has counted.
//!
//! ```text
//! filled    = max(0, filled + delta)      at each fill: what scopes hold is never less than nothing
//! unfilled  = max(0, reserved - filled)   so never more than was promised
//! counted  -> unfilled                    what this tab adds to the pool's sum, once settled
//! sum      >= all counted                 equal when nobody is in the middle of a change, and never less
//! ```
//!
//! The owner alone writes `reserved`, and scopes alone write `filled`: neither takes a bound from a number that the other is
//! changing. Scopes fill tabs from the allocator's callback: no lock, no allocation, no system call, no panic in here.

use std::sync::Arc;

use crate::sys::atomic::{AtomicI64, AtomicU64, Ordering, const_fn};

/// What is promised by a pool and not filled yet: that much of the headroom is spoken for.
#[derive(Debug)]
pub(crate) struct Outstanding {
    bytes: AtomicI64,
}

impl Outstanding {
    const_fn! {
        pub(crate) fn new() -> Self {
            Outstanding { bytes: AtomicI64::new(0) }
        }
    }

    /// The sum now. Whoever reads it and then [`clock`](crate::meter::clock) misses nothing that a scope took meanwhile.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst).max(0) as u64
    }

    /// Promises `bytes` if that `fits` beside what is outstanding already.
    #[inline]
    pub(crate) fn claim_if(&self, bytes: u64, fits: impl Fn(u64) -> bool) -> bool {
        let mut now = self.bytes.load(Ordering::Acquire);
        while fits(now.max(0) as u64) {
            match self.bytes.compare_exchange_weak(
                now,
                now.wrapping_add(bytes as i64),
                Ordering::SeqCst,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    /// Promises `bytes` in any case, and returns what was outstanding before.
    pub(crate) fn claim(&self, bytes: u64) -> u64 {
        self.add(bytes as i64).max(0) as u64
    }

    /// Takes a claim back that has no tab yet.
    pub(crate) fn unclaim(&self, bytes: u64) {
        self.add((bytes as i64).wrapping_neg());
    }

    #[inline]
    fn add(&self, bytes: i64) -> i64 {
        // Sequentially consistent, so that whoever gives back either sees a waiter or is seen by it.
        self.bytes.fetch_add(bytes, Ordering::SeqCst)
    }
}

/// One reservation as the scopes that spend it see it.
///
/// Shared as `Arc<Tab>`: the reservation holds one reference, every scope that spends it another. The last drop frees memory,
/// so a scope gives its reference up when it ends and never inside the allocator's callback, which only borrows.
#[derive(Debug)]
pub(crate) struct Tab {
    /// 0 once the reservation is gone: then the tab counts for nothing, whatever its scopes still do.
    reserved: AtomicU64,
    filled: AtomicU64,
    /// Below 0 while a part that was counted here changes tabs.
    counted: AtomicI64,
    pool: Arc<Outstanding>,
}

/// What any thread may do.
impl Tab {
    /// Scopes hold `delta_bytes` more than they last said. From any thread, and from the allocator's callback.
    ///
    /// What others allocated and a scope frees comes off what all scopes of this tab hold, and never goes below nothing.
    ///
    /// Where the same event advances the allocation clock, that comes first: then no reader sees the tab filled and misses
    /// the memory that filled it.
    #[inline]
    pub(crate) fn fill(&self, delta_bytes: i64) {
        let mut filled = self.filled.load(Ordering::Relaxed);
        while let Err(now) = self.filled.compare_exchange_weak(
            filled,
            filled.saturating_add_signed(delta_bytes),
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            filled = now;
        }
        self.settle();
    }

    /// What was promised, filled or not.
    #[inline]
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    /// What was promised and no scope has filled: at most [`reserved_bytes`](Tab::reserved_bytes).
    #[inline]
    pub(crate) fn unfilled_bytes(&self) -> u64 {
        let filled = self.filled.load(Ordering::Acquire);
        self.reserved_bytes().saturating_sub(filled)
    }

    /// Makes `counted`, and by it the pool's sum, follow what is unfilled.
    ///
    /// Several may settle at once, each with numbers that are out of date. The last to write `counted` has seen the changes of
    /// all who wrote before it, and looks once more after writing: so what stays is right. What is added to `counted` enters
    /// the sum before; what is taken off leaves it at the very end, when a second look has found it right. So nobody finds
    /// more room than there is, not even while `counted` holds a number that was true a moment ago.
    #[inline]
    fn settle(&self) {
        let mut counted = self.counted.load(Ordering::Acquire);
        // In the sum, and in nobody's `counted`.
        let mut spare = 0;
        loop {
            let unfilled = self.unfilled_bytes() as i64;
            let more = unfilled.wrapping_sub(counted);
            if more > spare {
                self.pool.add(more.wrapping_sub(spare));
                spare = more;
            }
            // Written even when it stays the same: the write is what the others' changes are ordered by.
            match self.counted.compare_exchange(
                counted,
                unfilled,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    spare = spare.wrapping_sub(more);
                    if self.unfilled_bytes() as i64 == unfilled {
                        break;
                    }
                    counted = unfilled;
                }
                Err(now) => counted = now,
            }
        }
        if spare != 0 {
            self.pool.add(spare.wrapping_neg());
        }
    }
}

/// What the owner does, one thing at a time.
impl Tab {
    /// A tab for `bytes` that were claimed from `pool` before.
    #[inline]
    pub(crate) fn claimed(pool: &Arc<Outstanding>, bytes: u64) -> Self {
        Tab {
            reserved: AtomicU64::new(bytes),
            filled: AtomicU64::new(0),
            counted: AtomicI64::new(bytes as i64),
            pool: Arc::clone(pool),
        }
    }

    /// Adds `bytes` that were claimed from the pool before.
    pub(crate) fn grow_claimed(&self, bytes: u64) {
        self.reserved.fetch_add(bytes, Ordering::AcqRel);
        self.counted.fetch_add(bytes as i64, Ordering::AcqRel);
        self.settle();
    }

    /// Gives back `bytes` of the promise, filled or not, and at most all; returns how many.
    pub(crate) fn shrink(&self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.reserved_bytes());
        self.reserved.fetch_sub(bytes, Ordering::AcqRel);
        self.settle();
        bytes
    }

    /// Moves `bytes` of the promise to a tab of their own, if so much is unfilled.
    pub(crate) fn split(&self, bytes: u64) -> Option<Tab> {
        // What scopes fill from here on fills what stays, as if it had come after the split.
        if self.unfilled_bytes() < bytes {
            return None;
        }
        // The sum has these bytes already: they change tabs, and it does not move. They leave `counted` first, or a scope
        // that settles in between would take them for given back.
        self.counted.fetch_sub(bytes as i64, Ordering::AcqRel);
        self.reserved.fetch_sub(bytes, Ordering::AcqRel);
        self.settle();
        Some(Tab::claimed(&self.pool, bytes))
    }

    /// The reservation is gone: from now on this tab counts for nothing. Returns what was reserved.
    #[inline]
    pub(crate) fn close(&self) -> u64 {
        let bytes = self.reserved.swap(0, Ordering::AcqRel);
        self.settle();
        bytes
    }
}
