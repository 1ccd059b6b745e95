//! The meter: where jemalloc's events, the scopes of the thread, and the heap line of the process meet.

use crate::manager::environment;
use crate::meter;
use crate::scope;
use crate::sys::counters::Counts;
use crate::sys::thread_event::ThreadEvent;

struct Meter;

impl ThreadEvent for Meter {
    /// Inside the allocator. Each call is safe there, because
    /// - `scope::at_event` touches cells of a thread-local without a destructor; past a line also atomics, the clock, and a futex;
    /// - `meter::look_at_heap` touches such a thread-local and atomics, once per MiB it reads a figure of jemalloc's that takes no
    ///   lock (`approximate_stats.active` by its number), and past the line it wakes a futex, once;
    /// - neither can unwind: no indexing, no arithmetic that checks, no `unwrap`.
    #[inline]
    fn event(counts: Counts) {
        scope::at_event(counts.net_bytes());
        meter::look_at_heap(counts.allocated_bytes);
    }
}

/// Has jemalloc call the meter, once per process, at the interval that `PLIMSOLL_METER_INTERVAL` or the default says.
#[inline]
pub(super) fn install() {
    meter::install_events::<Meter>(environment::meter_interval_bytes);
}

/// The same, at `interval_bytes`.
pub(super) fn install_every(interval_bytes: u64) {
    meter::install_events::<Meter>(|| interval_bytes);
}
