//! The one figure of a process that needs no `/proc`.

/// The highest RSS so far. Linux: `ru_maxrss`, which a parent's peak can shine through after fork and exec.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    #[cfg(unix)]
    {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the pointer is valid for a `rusage`, and all zeros is a valid one should the call fail.
        let (status, usage) = unsafe {
            (
                libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()),
                usage.assume_init(),
            )
        };
        // Apple counts bytes, everybody else KiB.
        let unit = if cfg!(target_vendor = "apple") {
            1
        } else {
            1024
        };
        (status == 0).then_some(usage.ru_maxrss as u64 * unit)
    }
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn the_peak_is_at_least_what_this_test_binary_needs() {
        assert!(super::peak_rss_bytes().unwrap() > 1 << 20);
    }
}
