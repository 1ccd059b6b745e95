//! glibc's heap gives its unused pages back.

/// Has all of glibc's arenas return whole unused pages to the kernel; whether there were any. `false` where the C library is not
/// glibc.
///
/// Walks all free blocks and holds each arena's lock meanwhile: for threads of the library's own. Where the program allocates by
/// something else (mimalloc, say) only what C code has freed is there to be found.
pub(crate) fn trim() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY:
        // - Thread-safe by its documentation, and it touches nothing that is allocated.
        // - 0 is how much is to be left at the top of the heap.
        unsafe { libc::malloc_trim(0) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}
