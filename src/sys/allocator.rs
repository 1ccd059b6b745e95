//! The allocator type that a binary names in `#[global_allocator]`.

use std::alloc::{GlobalAlloc, Layout};

/// jemalloc as the binary's allocator; scopes and heap figures need it.
///
/// A thin type over `tikv-jemallocator`: every call goes straight through.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
///
/// assert!(plimsoll::get_memory_manager().usage().heap.is_some());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Jemalloc;

// SAFETY:
// - Every method forwards its arguments unchanged to `tikv_jemallocator::Jemalloc`, which upholds the trait's contract.
// - Nothing here unwinds, and no layout is altered on the way.
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
        // SAFETY: the caller's promise about all three arguments is passed on unchanged.
        unsafe { tikv_jemallocator::Jemalloc.realloc(pointer, layout, new_size) }
    }
}
