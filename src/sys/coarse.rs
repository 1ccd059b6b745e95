//! Milliseconds for a few nanoseconds: a clock that moves in steps of some milliseconds and is read without the counter
//! register behind `Instant::now`, which costs several times as much.

/// Milliseconds since some moment, never running backwards.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn now_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writes. The one error (a kernel without this clock, older than 2.6.32) leaves it at 0.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn now_ms() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(std::time::Instant::now);
    start.elapsed().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_on() {
        let start = now_ms();
        while now_ms() == start {
            std::thread::yield_now();
        }
        assert!(now_ms() > start);
    }
}
