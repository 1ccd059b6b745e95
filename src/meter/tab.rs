//! A reservation's tab: how much of the promise is not filled yet, and what of that its pool has counted.
//!
//! ```text
//! unfilled = reserved - filled     may fall below 0: the scopes took more than was promised
//! counted  -> max(0, unfilled)     what this tab adds to the pool's sum, once settled
//! sum      >= all counted          equal when nobody is in the middle of a change, and never less
//! ```
//!
//! Scopes fill tabs from the allocator's callback: no lock, no allocation, no system call, no panic in here.

use std::sync::Arc;

use crate::sys::atomic::{AtomicI64, Ordering, const_fn};

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

/// Filled without end: what a tab is once its reservation is gone, whatever its scopes still do.
const CLOSED: i64 = i64::MIN / 2;

/// One reservation as the scopes that spend it see it.
///
/// Shared as `Arc<Tab>`: the reservation holds one reference, every scope that spends it another. The last drop frees memory,
/// so a scope gives its reference up when it ends and never inside the allocator's callback, which only borrows.
#[derive(Debug)]
pub(crate) struct Tab {
    unfilled: AtomicI64,
    counted: AtomicI64,
    pool: Arc<Outstanding>,
}

impl Tab {
    /// A tab for `bytes` that were claimed from `pool` before.
    #[inline]
    pub(crate) fn claimed(pool: &Arc<Outstanding>, bytes: u64) -> Self {
        Tab {
            unfilled: AtomicI64::new(bytes as i64),
            counted: AtomicI64::new(bytes as i64),
            pool: Arc::clone(pool),
        }
    }

    /// A scope holds `delta_bytes` more than it last said. From any thread, and from the allocator's callback.
    ///
    /// Where the same event advances the allocation clock, that comes first: then no reader sees the tab filled and misses
    /// the memory that filled it.
    #[inline]
    pub(crate) fn fill(&self, delta_bytes: i64) {
        self.unfilled.fetch_sub(delta_bytes, Ordering::AcqRel);
        self.settle();
    }

    /// Adds `bytes` that were claimed from the pool before.
    pub(crate) fn grow_claimed(&self, bytes: u64) {
        self.unfilled.fetch_add(bytes as i64, Ordering::AcqRel);
        self.counted.fetch_add(bytes as i64, Ordering::AcqRel);
        self.settle();
    }

    /// Gives back `bytes` of the promise, filled or not.
    pub(crate) fn shrink(&self, bytes: u64) {
        self.unfilled.fetch_sub(bytes as i64, Ordering::AcqRel);
        self.settle();
    }

    /// Moves `bytes` of the promise to a tab of their own, if so much is unfilled.
    pub(crate) fn split(&self, bytes: u64) -> Option<Tab> {
        let part = bytes as i64;
        let mut unfilled = self.unfilled.load(Ordering::Acquire);
        loop {
            if unfilled < part {
                return None;
            }
            match self.unfilled.compare_exchange_weak(
                unfilled,
                unfilled.wrapping_sub(part),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => unfilled = now,
            }
        }
        // The sum has these bytes already: they change tabs, and it does not move.
        self.counted.fetch_sub(part, Ordering::AcqRel);
        self.settle();
        Some(Tab::claimed(&self.pool, bytes))
    }

    /// The reservation is gone: from now on this tab counts for nothing.
    #[inline]
    pub(crate) fn close(&self) {
        self.unfilled.swap(CLOSED, Ordering::AcqRel);
        self.settle();
    }

    /// Reserved minus filled; below 0 when the scopes took more than was promised.
    pub(crate) fn unfilled_bytes(&self) -> i64 {
        self.unfilled.load(Ordering::Acquire)
    }

    /// Makes `counted`, and by it the pool's sum, follow `unfilled`.
    ///
    /// Several may settle at once, each with an `unfilled` that is out of date. The last to write `counted` has seen the
    /// changes of all who wrote before it, and looks once more after writing: so what stays is right. What is added to
    /// `counted` enters the sum before and what is taken off leaves it after, so that nobody finds more room than there is.
    #[inline]
    fn settle(&self) {
        let mut counted = self.counted.load(Ordering::Acquire);
        loop {
            let unfilled = self.unfilled.load(Ordering::Acquire).max(0);
            let more = unfilled.wrapping_sub(counted);
            if more > 0 {
                self.pool.add(more);
            }
            // Written even when it stays the same: the write is what the others' changes are ordered by.
            match self.counted.compare_exchange(
                counted,
                unfilled,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    if more < 0 {
                        self.pool.add(more);
                    }
                    if self.unfilled.load(Ordering::Acquire).max(0) == unfilled {
                        return;
                    }
                    counted = unfilled;
                }
                Err(now) => {
                    if more > 0 {
                        self.pool.add(more.wrapping_neg());
                    }
                    counted = now;
                }
            }
        }
    }
}
