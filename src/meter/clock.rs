//! The allocation clock: it counts bytes instead of time, and tells how stale a reading of memory may be.
//!
//! Between two looks at it the program has allocated no more than it moved plus what each thread has allocated since its
//! last event, at most one interval (about 256 KiB). What was allocated earlier and is touched only now, and what others in
//! the same cgroup take, it does not know.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Alone in its cache lines (processors fetch them in pairs): every thread's events write it, and nobody else is to pay for that.
#[repr(align(128))]
struct Clock {
    allocated_bytes: AtomicU64,
}

static CLOCK: Clock = Clock {
    allocated_bytes: AtomicU64::new(0),
};
/// A shared count costs threads that allocate fast more than all the rest of the meter, so it runs from the first reservation on.
static WANTED: AtomicBool = AtomicBool::new(false);

/// From now on events advance it. Before the reading that is to be compared with it.
pub(crate) fn want() {
    if !WANTED.load(Ordering::Relaxed) {
        WANTED.store(true, Ordering::Relaxed);
    }
}

/// Whether anybody looks at it.
#[inline]
pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// A thread has allocated `bytes` since its last event. One atomic add: callable from the allocator's callback.
#[inline]
pub(crate) fn advance(bytes: u64) {
    // Ordered by the sum that a scope settles after it, see `Tab::fill`.
    CLOCK.allocated_bytes.fetch_add(bytes, Ordering::Relaxed);
}

/// What the events have seen allocated so far. 0 as long as nobody drives the clock: then it says nothing.
#[inline]
pub(crate) fn allocated_bytes() -> u64 {
    CLOCK.allocated_bytes.load(Ordering::Relaxed)
}
