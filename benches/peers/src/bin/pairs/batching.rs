//! [`Batching`]: the cheapest way to meter an allocator from outside, as a peer.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// How far a thread may drift from what all know: what Databend uses (`MEM_STAT_BUFFER_SIZE`).
const DRIFT_BYTES: i64 = 4 << 20;

static USED_BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK_BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    // Without a destructor: one instruction away.
    static UNSETTLED_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// An allocator whose threads count for themselves what they allocate and free, and tell the process when the difference
/// has grown beyond a few MiB.
///
/// Of the kind that Databend has, without what Databend does beside it (the owner's address behind blocks of 512 B and more,
/// an account per query, an error above the limit, a state for threads that end), so it is the cheapest of its kind. It knows
/// requested sizes and no scopes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batching<A>(pub(crate) A);

/// Counts, and returns what there is to tell by now.
#[inline]
fn count(bytes: i64) -> i64 {
    let unsettled = UNSETTLED_BYTES.get() + bytes;
    UNSETTLED_BYTES.set(unsettled);
    unsettled
}

fn settle() {
    let bytes = UNSETTLED_BYTES.take();
    let used = USED_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK_BYTES.fetch_max(used, Ordering::Relaxed);
}

impl<A: GlobalAlloc> Batching<A> {
    /// The seldom half of `alloc`. It ends with the allocation itself, so that the other half need not keep its arguments.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::alloc`].
    #[cold]
    #[inline(never)]
    unsafe fn settle_and_alloc(&self, layout: Layout) -> *mut u8 {
        settle();
        // SAFETY: the caller's promise about `layout` is passed on unchanged.
        unsafe { self.0.alloc(layout) }
    }

    /// The seldom half of `dealloc`.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    unsafe fn settle_and_dealloc(&self, pointer: *mut u8, layout: Layout) {
        settle();
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on unchanged.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

// SAFETY:
// - Every call goes to the inner allocator with its arguments unchanged; counting touches no memory of the blocks.
// - Counting neither allocates nor unwinds: the thread-local is initialised at compile time and has no destructor.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Batching<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if count(layout.size() as i64) > DRIFT_BYTES {
            // SAFETY: the caller's promise about `layout` is passed on unchanged.
            return unsafe { self.settle_and_alloc(layout) };
        }
        // SAFETY: as above.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if count(-(layout.size() as i64)) < -DRIFT_BYTES {
            // SAFETY: the caller's promise about `pointer` and `layout` is passed on unchanged.
            return unsafe { self.settle_and_dealloc(pointer, layout) };
        }
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}
