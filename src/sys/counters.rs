//! What this thread has allocated and freed: jemalloc's own counters, read through pointers that are resolved once per thread.
//!
//! Upstream keys: `thread.allocatedp` and `thread.deallocatedp`. They count size classes, not requested sizes, and what a
//! thread frees counts there even when another thread allocated it.

use std::cell::Cell;
use std::ptr;

/// Bytes allocated and freed by one thread since it started; both only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) allocated_bytes: u64,
    pub(crate) freed_bytes: u64,
}

impl Counts {
    /// Allocated minus freed, signed: a thread may free what others allocated.
    #[inline]
    pub(crate) fn net_bytes(self) -> i64 {
        self.allocated_bytes.wrapping_sub(self.freed_bytes) as i64
    }

    /// What happened between `earlier` and now.
    #[inline]
    pub(crate) fn since(self, earlier: Counts) -> Counts {
        Counts {
            allocated_bytes: self.allocated_bytes.wrapping_sub(earlier.allocated_bytes),
            freed_bytes: self.freed_bytes.wrapping_sub(earlier.freed_bytes),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Pointers {
    pub(super) allocated: *const u64,
    pub(super) freed: *const u64,
}

/// Where the pointers lead when nothing can be measured: counters that never move.
static STILL: u64 = 0;

impl Pointers {
    pub(super) const STILL: Pointers = Pointers {
        allocated: &raw const STILL,
        freed: &raw const STILL,
    };
}

thread_local! {
    // Without a destructor, so that guards work in the destructors of other thread-locals.
    static POINTERS: Cell<Pointers> = const { Cell::new(Pointers::STILL) };
}

/// This thread's counters, or zeros that never move when jemalloc is not the global allocator.
#[inline]
pub(crate) fn now() -> Counts {
    if POINTERS.with(|cell| ptr::eq(cell.get().allocated, &raw const STILL)) {
        resolve();
    }
    now_resolved()
}

/// As [`now`], on a thread where that was called before; zeros where it was not. Two loads less, for guards and checkpoints.
#[inline]
pub(crate) fn now_resolved() -> Counts {
    let pointers = if RECORD_OUTLIVES_DESTRUCTORS {
        POINTERS.get()
    } else {
        super::jemalloc::thread_pointers()
    };
    // SAFETY:
    // - Both pointers are either `STILL` or came from jemalloc for this very thread (the cell is thread-local). They are
    //   kept only where jemalloc's record of the thread lives as long as the thread, and are fresh elsewhere.
    // - Only this thread writes the counters, so there is no race; volatile, because the allocator writes behind the
    //   compiler's back.
    unsafe {
        Counts {
            allocated_bytes: ptr::read_volatile(pointers.allocated),
            freed_bytes: ptr::read_volatile(pointers.freed),
        }
    }
}

/// Where jemalloc keeps its record of a thread in static TLS. Elsewhere (`force_tls="0"` in its `configure.ac`: macOS, Windows,
/// Android, OpenBSD, QNX) it frees the record when the thread ends, before other thread-locals are done: there the pointers are
/// looked up every time.
const RECORD_OUTLIVES_DESTRUCTORS: bool = cfg!(any(target_os = "linux", target_os = "freebsd"));

#[cold]
#[inline(never)]
fn resolve() {
    if RECORD_OUTLIVES_DESTRUCTORS {
        POINTERS.set(super::jemalloc::thread_pointers());
    }
}
