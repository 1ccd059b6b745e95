//! Stands for the library's `crate::sys`, as far as the lock-free parts use it.

#![allow(
    unused_imports,
    unused_macros,
    dead_code,
    reason = "each model uses its part"
)]

pub(crate) mod atomic {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    };

    /// Reads as the standard library's does; what it holds is no part of a model.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        is_set: AtomicBool,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            OnceLock {
                is_set: AtomicBool::new(false),
                value: std::sync::OnceLock::new(),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.is_set.load(Ordering::Acquire) {
                self.value.get()
            } else {
                None
            }
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            self.value.set(value)?;
            self.is_set.store(true, Ordering::Release);
            Ok(())
        }
    }

    /// loom's atomics can't be made by `const` functions.
    macro_rules! const_fn {
        ($(#[$attribute:meta])* $visibility:vis fn $($rest:tt)*) => {
            $(#[$attribute])* $visibility fn $($rest)*
        };
    }
    pub(crate) use const_fn;
}

/// One queue for all words. As in the kernel, its lock is held while the word is compared. Nobody's time is ever up: a thread that is
/// not woken sleeps for ever, which loom reports as a deadlock.
pub(crate) mod futex {
    use std::time::Duration;

    use loom::sync::{Condvar, Mutex};

    use super::atomic::{AtomicU32, Ordering};

    struct Queue {
        lock: Mutex<()>,
        sleepers: Condvar,
    }

    loom::lazy_static! {
        static ref QUEUE: Queue = Queue {
            lock: Mutex::new(()),
            sleepers: Condvar::new(),
        };
    }

    pub(crate) fn wake(_word: &AtomicU32) {
        let _lock = QUEUE.lock.lock();
        QUEUE.sleepers.notify_all();
    }

    pub(crate) fn sleep(word: &AtomicU32, expected: u32, _timeout: Duration) {
        let lock = QUEUE.lock.lock().unwrap();
        if word.load(Ordering::Relaxed) == expected {
            drop(QUEUE.sleepers.wait(lock));
        }
    }
}

/// No model forks.
pub(crate) mod fork {
    pub(crate) fn generation() -> u64 {
        0
    }
}
