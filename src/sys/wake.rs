//! Waking whoever waits, and a thread that waits for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use super::lock::{Condvar, Mutex};

/// Runs code that is not ours, such as a waker of some runtime: its panic must end neither our thread nor a drop that runs while
/// another panic unwinds.
pub(crate) fn shielded(action: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(action)) {
        // Its drop could panic once more, outside of any catch.
        std::mem::forget(payload);
    }
}

/// Not under a lock: a waker may come back to us.
pub(crate) fn wake(waker: Waker) {
    shielded(|| waker.wake());
}

/// A thread that waits. Not by parking: a token that was meant for the caller's own code is not ours to take.
#[derive(Default)]
pub(crate) struct Sleeper {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Sleeper {
    /// Sleeps until woken; `false` when the time was up first.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            woken = match deadline {
                // So far away that no clock can show it.
                None => self.bell.wait(woken),
                Some(deadline) => match self.bell.wait_until(woken, deadline) {
                    Some(woken) => woken,
                    None => return false,
                },
            };
        }
        *woken = false;
        true
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.bell.notify_all();
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Wake;

    /// Counts how often it is woken.
    #[derive(Default)]
    pub(crate) struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        pub(crate) fn times(&self) -> u64 {
            self.0.load(Ordering::SeqCst)
        }
    }
}
