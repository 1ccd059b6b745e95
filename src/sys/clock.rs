//! Clocks that may be read inside the allocator's callback.

/// Nanoseconds of the monotonic clock. No allocation, no lock; Linux answers from the vDSO, without entering the kernel wherever
/// the clock source allows that.
pub(crate) fn monotonic_ns() -> u64 {
    #[cfg(unix)]
    {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the pointer is valid for a `timespec`, and the clock exists wherever this compiles; a failure leaves zeros.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        (now.tv_sec as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(now.tv_nsec as u64)
    }
    #[cfg(not(unix))]
    {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// Sleeps for about `nanoseconds`, less when a signal comes. No allocation, no lock, and on Linux `errno` stays as it is: may be called
/// inside the allocator.
pub(crate) fn pause(nanoseconds: u32) {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::thread::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(nanoseconds.min(999_999_999)),
        };
        let _ = rustix::thread::nanosleep(&time);
    }
    #[cfg(not(target_os = "linux"))]
    std::thread::sleep(std::time::Duration::from_nanos(nanoseconds.into()));
}

/// Milliseconds since some moment, in steps of some milliseconds: read without the counter register, for a quarter of what
/// [`monotonic_ns`] costs.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn coarse_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writes. The one error (a kernel without this clock, older than 2.6.32) leaves it at 0.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn coarse_ms() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    start.elapsed().as_millis() as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_never_goes_back() {
        let first = super::monotonic_ns();
        assert!(first > 0 && super::monotonic_ns() >= first);
    }

    #[test]
    fn the_coarse_one_moves_on() {
        let start = super::coarse_ms();
        while super::coarse_ms() == start {
            std::thread::yield_now();
        }
        assert!(super::coarse_ms() > start);
    }
}
