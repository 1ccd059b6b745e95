//! The allocator type that a binary names in `#[global_allocator]`.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// jemalloc as the binary's allocator; scopes and heap figures need it.
///
/// A thin type over `tikv-jemallocator`: every call goes straight through. `realloc` of 64 KiB and more also leaves word of what
/// it replaces: jemalloc counts the new block before it takes off the old one, and a scope's peak would hold both.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
///
/// assert!(plimsoll::get_memory_manager().usage().heap.is_some());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Jemalloc;

/// Smaller blocks distort a peak by less than a meter's interval, and are not worth two writes.
const WORTH_TELLING_BYTES: usize = 64 << 10;

thread_local! {
    // Without a destructor: the allocator runs before and after everything else.
    static REPLACED: Cell<u64> = const { Cell::new(0) };
}

/// The size of the block that this thread's `realloc` is replacing, which jemalloc still counts.
#[inline]
pub(super) fn replaced_bytes() -> u64 {
    REPLACED.get()
}

// SAFETY:
// - Every method forwards its arguments unchanged to `tikv_jemallocator::Jemalloc`, which upholds the trait's contract.
// - Nothing here unwinds or allocates, and no layout is altered on the way: a thread-local without a destructor and with a
//   constant initial value is a plain write.
unsafe impl GlobalAlloc for Jemalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on unchanged.
        unsafe { tikv_jemallocator::Jemalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on unchanged.
        unsafe { tikv_jemallocator::Jemalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on unchanged.
        unsafe { tikv_jemallocator::Jemalloc.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.size() < WORTH_TELLING_BYTES {
            // SAFETY: the caller's promise about all three arguments is passed on unchanged.
            return unsafe { tikv_jemallocator::Jemalloc.realloc(pointer, layout, new_size) };
        }
        REPLACED.set(layout.size() as u64);
        // SAFETY: as above.
        let moved = unsafe { tikv_jemallocator::Jemalloc.realloc(pointer, layout, new_size) };
        REPLACED.set(0);
        moved
    }
}
