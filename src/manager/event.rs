//! The meter: where jemalloc's events, the scopes of the thread, and the heap line of the process meet.

use crate::manager::environment;
use crate::meter;
use crate::scope;
use crate::sys::counters::Counts;
use crate::sys::thread_event::ThreadEvent;

struct Meter;

impl ThreadEvent for Meter {
    /// Inside the allocator. Each call is safe there, because
    /// - `meter::at_event` touches cells of a thread-local without a destructor and atomics, at most once per MiB it reads a figure of
    ///   jemalloc's that takes no lock (`approximate_stats.active` by its number), and past the line it wakes a futex, once, and brakes: a
    ///   `pread` of a held descriptor, and above the hard line sleep in steps, bounded;
    /// - `scope::at_event` touches such cells; past a line also atomics, the clock, and a futex;
    /// - neither can unwind: no indexing that can fail, no `unwrap`, no thread-local that may be gone.
    ///
    /// The clock comes first: whoever sees a reservation filled sees it advanced.
    #[inline]
    fn event(counts: Counts, replaced_bytes: u64) {
        meter::at_event(counts.allocated_bytes);
        scope::at_event(counts.net_bytes().wrapping_sub_unsigned(replaced_bytes));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_a_block_of_another_threads_turns_no_clock_back() {
        let allocated_bytes = 600 << 10;
        meter::clock::want();
        let before = meter::clock::allocated_bytes();
        // A new thread's first event.
        let event = move || {
            let counts = Counts {
                allocated_bytes,
                freed_bytes: 0,
            };
            Meter::event(counts, 64 << 20);
        };
        std::thread::spawn(event).join().unwrap();
        let moved = meter::clock::allocated_bytes().wrapping_sub(before);
        assert!((allocated_bytes..1 << 50).contains(&moved), "{moved}");
    }
}
