//! The allocation clock: it counts bytes instead of time, and tells how stale a reading of memory may be.
//!
//! Between two looks at it the program has allocated no more than it moved plus what each thread has allocated since its
//! last event, at most one interval (about 256 KiB). What was allocated earlier and is touched only now, and what others in
//! the same cgroup take, it does not know.

use std::sync::atomic::{AtomicU64, Ordering};

static ALLOCATED_BYTES: AtomicU64 = AtomicU64::new(0);

/// A thread has allocated `bytes` since its last event. One atomic add: callable from the allocator's callback.
#[inline]
pub(crate) fn advance(bytes: u64) {
    // Ordered by the sum that a scope settles after it, see `Tab::fill`.
    ALLOCATED_BYTES.fetch_add(bytes, Ordering::Relaxed);
}

/// What the events have seen allocated so far. 0 as long as nobody drives the clock: then it says nothing.
#[inline]
pub(crate) fn allocated_bytes() -> u64 {
    ALLOCATED_BYTES.load(Ordering::Relaxed)
}
