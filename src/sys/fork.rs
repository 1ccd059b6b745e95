//! What must be made anew in a forked child: descriptors, threads, locks that another thread may have held.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::lock::Mutex;

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between the process that loaded this library and the caller. One atomic load.
#[inline]
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Makes forks count from now on; called by whatever keeps per-process state. Not for use inside the allocator.
pub(crate) fn watch() {
    #[cfg(unix)]
    {
        static WATCHED: std::sync::Once = std::sync::Once::new();
        extern "C" fn in_child() {
            GENERATION.fetch_add(1, Ordering::Relaxed);
        }
        WATCHED.call_once(|| {
            // SAFETY:
            // - `in_child` is `extern "C"`, never unwinds and does one atomic add, which is allowed after a fork.
            // - It lives as long as the code it is part of. A failure (ENOMEM) leaves forks unnoticed, nothing worse.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
    }
}

struct Built<T> {
    generation: u64,
    value: T,
}

/// A value that belongs to one process: the first use in a forked child makes a new one.
///
/// The parent's value is leaked in the child, on purpose: its locks may be held by threads that do not exist there.
pub(crate) struct PerProcess<T> {
    current: AtomicPtr<Built<T>>,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        watch();
        let built = Built {
            generation: generation(),
            value,
        };
        PerProcess {
            current: AtomicPtr::new(Box::into_raw(Box::new(built))),
        }
    }

    /// This process's value; `rebuild` makes it from the parent's, which it must not lock.
    #[inline]
    pub(crate) fn get(&self, rebuild: impl FnOnce(&T) -> T) -> &T {
        // SAFETY:
        // - The pointer came from `Box::into_raw` and is freed only in `drop`, which has exclusive access: a replaced
        //   value is leaked, so a reference handed out earlier stays valid.
        // - The value behind it is only read.
        let built = unsafe { &*self.current.load(Ordering::Acquire) };
        if built.generation == generation() {
            &built.value
        } else {
            self.replace(built, rebuild)
        }
    }

    /// This process's value if it was made already. One atomic load each for value and generation: may be called inside the
    /// allocator.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&T> {
        // SAFETY: as in `get`.
        let built = unsafe { &*self.current.load(Ordering::Acquire) };
        (built.generation == generation()).then_some(&built.value)
    }

    #[cold]
    fn replace<'a>(&'a self, old: &'a Built<T>, rebuild: impl FnOnce(&T) -> T) -> &'a T {
        let new = Box::into_raw(Box::new(Built {
            generation: generation(),
            value: rebuild(&old.value),
        }));
        let expected = std::ptr::from_ref(old).cast_mut();
        match self
            .current
            .compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: just published by this thread, and never freed before `drop`.
            Ok(_) => unsafe { &(*new).value },
            Err(winner) => {
                // SAFETY:
                // - `new` came from `Box::into_raw` above and was not published, so it is still this thread's alone.
                // - `winner` is what another thread of this process published, and is never freed before `drop`.
                unsafe {
                    drop(Box::from_raw(new));
                    &(*winner).value
                }
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let built = *self.current.get_mut();
        // SAFETY: `&mut self` means that no reference from `get` is alive, and the pointer came from `Box::into_raw`.
        let built = unsafe { Box::from_raw(built) };
        if built.generation != generation() {
            std::mem::forget(built);
        }
    }
}

/// A shared value that is replaced whole and never edited in place, so that a fork in the middle of a change leaves the
/// child either the old one or the new one, whoever held the lock.
pub(crate) struct Snapshot<T> {
    lock: PerProcess<Mutex<()>>,
    value: AtomicPtr<T>,
}

impl<T: Send + Sync> Snapshot<T> {
    pub(crate) fn new(value: T) -> Self {
        Snapshot {
            lock: PerProcess::new(Mutex::new(())),
            value: AtomicPtr::new(Arc::into_raw(Arc::new(value)).cast_mut()),
        }
    }

    fn lock(&self) -> impl Deref<Target = ()> + '_ {
        self.lock.get(|_| Mutex::new(())).lock()
    }

    /// The value as it is now.
    pub(crate) fn load(&self) -> Arc<T> {
        let _held = self.lock();
        let pointer = self.value.load(Ordering::Acquire);
        // SAFETY:
        // - The pointer came from `Arc::into_raw`, and this object owns one count of it.
        // - That count is given up only after the pointer was replaced under the lock that is held here.
        unsafe {
            Arc::increment_strong_count(pointer);
            Arc::from_raw(pointer)
        }
    }

    /// Replaces the value by what `change` makes of it, and returns what `change` returns beside it.
    ///
    /// `change` runs under the lock and must not call user code; the old value is dropped after the lock is free.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&T) -> (T, R)) -> R {
        let held = self.lock();
        let old = self.value.load(Ordering::Acquire);
        // SAFETY: this object owns one count of the pointer, and under the lock nobody replaces it.
        let (new, result) = change(unsafe { &*old });
        self.value
            .store(Arc::into_raw(Arc::new(new)).cast_mut(), Ordering::Release);
        drop(held);
        // SAFETY: the count that the replaced pointer stood for; nobody can find the pointer here any more.
        drop(unsafe { Arc::from_raw(old) });
        result
    }
}

impl<T> Drop for Snapshot<T> {
    fn drop(&mut self) {
        // SAFETY: the one count this object owns, and `&mut self` means that nobody else uses the pointer.
        drop(unsafe { Arc::from_raw(*self.value.get_mut()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `child` in a forked child and returns its exit status.
    #[cfg(unix)]
    fn in_child(child: impl FnOnce() -> bool) -> i32 {
        // SAFETY: the child only touches state that is fork-safe (what these tests are about) and leaves by `_exit`.
        unsafe {
            match libc::fork() {
                0 => libc::_exit(if child() { 0 } else { 1 }),
                pid => {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                    status
                }
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_child_makes_its_own_value_and_the_parent_keeps_its() {
        let cell = PerProcess::new(std::process::id());
        assert_eq!(cell.peek(), Some(&std::process::id()));
        let status = in_child(|| {
            cell.peek().is_none() && *cell.get(|_| std::process::id()) == std::process::id()
        });
        assert_eq!(status, 0);
        assert_eq!(*cell.get(|_| 0), std::process::id());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_held_by_another_thread_at_the_fork_does_not_stop_the_child() {
        let snapshot = Arc::new(Snapshot::new(vec![1]));
        let (entered, wait_entered) = std::sync::mpsc::channel();
        let (leave, wait_leave) = std::sync::mpsc::channel::<()>();
        let holder = std::thread::spawn({
            let snapshot = Arc::clone(&snapshot);
            move || {
                snapshot.update(|old| {
                    entered.send(()).unwrap();
                    wait_leave.recv().unwrap();
                    (vec![old[0], 2], ())
                });
            }
        });
        wait_entered.recv().unwrap();
        let status = in_child(|| {
            snapshot.update(|old| (vec![old[0], 3], ()));
            *snapshot.load() == [1, 3]
        });
        assert_eq!(status, 0);
        leave.send(()).unwrap();
        holder.join().unwrap();
        assert_eq!(*snapshot.load(), [1, 2]);
    }
}
