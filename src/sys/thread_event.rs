//! jemalloc's thread events: a callback about every so many bytes that a thread allocates.
//!
//! Upstream key: `experimental.hooks.thread_event` (jemalloc 5.3). There are four slots in a process, a taken one is never given
//! back, and the callback fires on all threads, those that started earlier too, after the allocation is complete.

use super::counters::Counts;

/// What happens at an event, on the thread that allocates, inside the allocator.
///
/// # Contract
/// `event` must not unwind, allocate, lock, log, or format; jemalloc is in the middle of a call. Whoever implements it says of each
/// call why it is safe there.
pub(crate) trait ThreadEvent {
    /// `counts` are the thread's as of the allocation that fired. During a large `realloc` they still hold the `replaced_bytes`,
    /// which another thread may have allocated: this one's count may be the smaller.
    fn event(counts: Counts, replaced_bytes: u64);
}

/// Has jemalloc call `E` about every `interval_bytes` that a thread allocates, for the rest of the process. `false` when it can't:
/// not the global allocator, too old, built by somebody else, or all slots taken.
#[cfg(feature = "jemalloc")]
pub(crate) fn install<E: ThreadEvent>(interval_bytes: u64) -> bool {
    use std::ffi::c_void;
    use std::ptr;

    /// As jemalloc declares it (`user_hook_object_s`); passed by value.
    #[repr(C)]
    struct Hook {
        callback: extern "C" fn(bool, u64, u64),
        interval_bytes: u64,
        is_alloc_only: bool,
    }

    extern "C" fn on_event<E: ThreadEvent>(
        _is_alloc: bool,
        allocated_bytes: u64,
        freed_bytes: u64,
    ) {
        let counts = Counts {
            allocated_bytes,
            freed_bytes,
        };
        E::event(counts, super::allocator::replaced_bytes());
    }

    // Elsewhere a thread-local may allocate when it is first used, or be gone when the allocator calls back.
    let has_native_tls = cfg!(any(
        target_os = "linux",
        target_os = "freebsd",
        target_os = "macos"
    ));
    if !has_native_tls || !super::jemalloc::is_global() {
        return false;
    }
    // Allocations alone: freeing can pass no limit, and half the events cost half as much.
    let mut hook = Hook {
        callback: on_event::<E>,
        interval_bytes,
        is_alloc_only: true,
    };
    // SAFETY:
    // - The key is NUL-terminated; a jemalloc without it returns ENOENT, one with other arguments EINVAL.
    // - `hook` has the layout that jemalloc 5.3 declares, is valid for its size, and is copied before the call returns.
    // - `on_event` is `extern "C"`, lives as long as the code, and by the trait's contract does nothing that the allocator can't
    //   bear.
    let status = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"experimental.hooks.thread_event".as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            (&raw mut hook).cast::<c_void>(),
            size_of::<Hook>(),
        )
    };
    status == 0
}

/// Without jemalloc there are no events.
#[cfg(not(feature = "jemalloc"))]
pub(crate) fn install<E: ThreadEvent>(_interval_bytes: u64) -> bool {
    let _ = E::event;
    false
}
