//! Thread caches: what a thread freed but keeps for itself, where no purge reaches. Only the thread can flush its own.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::{counters, jemalloc};

/// An idle thread keeps less than this: what it freed since its last flush.
const WORTH_FLUSHING_BYTES: u64 = 64 << 10;

/// Bumped by every purge.
static PURGES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Without a destructor, so that scopes can end in the destructors of other thread-locals.
    static LAST_FLUSH: Cell<Flush> = const { Cell::new(Flush { purges: 0, freed_bytes: 0 }) };
}

#[derive(Clone, Copy)]
struct Flush {
    purges: u64,
    freed_bytes: u64,
}

/// Tells all threads that a purge has run: each flushes its cache at its next boundary.
pub(crate) fn purge_has_run() {
    PURGES.fetch_add(1, Ordering::Relaxed);
}

/// The end of this thread's outermost scope: flushes if there was a purge since the last flush. A load and a compare else.
#[inline]
pub(crate) fn at_boundary() {
    LAST_FLUSH.with(|last| {
        let purges = PURGES.load(Ordering::Relaxed);
        if last.get().purges != purges {
            flush(last, purges);
        }
    });
}

/// Tells the library that this thread is about to have nothing to do: what it freed but keeps in its cache goes back to the
/// allocator, where a purge finds it.
///
/// For the hook that a runtime calls before it parks a thread (tokio: `on_thread_park`), and for pools of your own. Costs a
/// few nanoseconds unless the thread has freed 64 KiB since the last call, or a purge has run; then some microseconds.
///
/// ```
/// std::thread::spawn(|| {
///     drop(vec![0u8; 1 << 20]);
///     plimsoll::thread_idle();
///     // wait for the next job
/// });
/// ```
pub fn thread_idle() {
    LAST_FLUSH.with(|last| {
        let purges = PURGES.load(Ordering::Relaxed);
        let Flush {
            purges: seen,
            freed_bytes,
        } = last.get();
        let freed_since = counters::now().freed_bytes.wrapping_sub(freed_bytes);
        if seen != purges || freed_since >= WORTH_FLUSHING_BYTES {
            flush(last, purges);
        }
    });
}

#[cold]
fn flush(last: &Cell<Flush>, purges: u64) {
    jemalloc::flush_thread_cache();
    last.set(Flush {
        purges,
        freed_bytes: counters::now().freed_bytes,
    });
}
