//! A word that a thread sleeps on while it stays as it is.

use std::time::Duration;

use crate::sys::atomic::AtomicU32;

/// Wakes one sleeper. A system call: no lock, no allocation.
#[cfg(target_os = "linux")]
pub(crate) fn wake(word: &AtomicU32) {
    use rustix::thread::futex;
    // The one error (a bad address) can't happen to a reference.
    let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
}

/// Sleeps if the word is still `expected`. Woken, timed out, interrupted or too late: the caller looks at the word in every case.
#[cfg(target_os = "linux")]
pub(crate) fn sleep(word: &AtomicU32, expected: u32, timeout: Duration) {
    use rustix::thread::futex;
    let timeout = futex::Timespec {
        tv_sec: timeout.as_secs() as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    let _ = futex::wait(word, futex::Flags::PRIVATE, expected, Some(&timeout));
}

/// Elsewhere the word is set and the sleeper's next look finds it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn wake(_word: &AtomicU32) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn sleep(_word: &AtomicU32, _expected: u32, timeout: Duration) {
    std::thread::sleep(timeout.min(Duration::from_millis(50)));
}
