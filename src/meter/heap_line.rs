//! The heap line: how large the heap may get before somebody should look again.
//!
//! ```text
//! worker: takes a reading, below its lines --> arms: line = active heap now + what is left to the line
//! event:  active heap above the line --> disarms (one thread wins) and rings --> worker: takes a fresh reading, and that decides
//! ```
//!
//! The heap alone decides nothing: `vec![0; 8 << 30]` is active, and not resident. And there is no running tally, which would drift by
//! what was allocated before anybody counted and by the unsettled rest of every thread that ended.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::meter::bell::ring;
use crate::meter::line::Line;
use crate::meter::{brake, clock, installed};
use crate::sys::jemalloc;

/// Near the line a thread looks at the heap's figure once in so many bytes that it allocates: the look costs as much as several
/// allocations.
const LEAST_STEP_BYTES: u64 = 256 << 10;
/// Far from it once in so many,
const MOST_STEP_BYTES: u64 = 16 << 20;
/// or in so large a part of the way: that many threads together pass the line by no more than they would one by one.
const STEPS_TO_LINE: u64 = 64;

static LINE: Line = Line::disarmed();
static PASSED_TOTAL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Without a destructor, so that the allocator may call back at any time of a thread's life.
    static MARKS: Marks = const {
        Marks {
            counted_bytes: Cell::new(0),
            next_look_bytes: Cell::new(0),
        }
    };
}

/// Of what a thread has allocated in its life: how much the clock has counted, and where the next look is due.
struct Marks {
    counted_bytes: Cell<u64>,
    next_look_bytes: Cell<u64>,
}

/// From now on an active heap of more than `bytes` rings the installed manager's bell, once.
pub(crate) fn arm_heap_line(bytes: u64) {
    LINE.arm(bytes);
}

/// The line has been passed already: the ticks watch from here.
pub(crate) fn disarm_heap_line() {
    LINE.disarm();
}

/// How often the heap has passed its line.
pub(crate) fn heap_line_passed_total() -> u64 {
    PASSED_TOTAL.load(Ordering::Relaxed)
}

/// A thread's event, at so many bytes that it has allocated in its life: advances the allocation clock, and looks at the heap if that
/// is due. Inside the allocator: a thread-local, atomics, one reading of jemalloc's that takes no lock, at most one futex wake per
/// crossing, and past the line the [brake](super::brake).
#[inline]
pub(crate) fn at_event(allocated_bytes: u64) {
    // Never refused: a thread-local without a destructor is there as long as its thread.
    let _ = MARKS.try_with(|marks| {
        let counted_bytes = marks.counted_bytes.get();
        marks.counted_bytes.set(allocated_bytes);
        if clock::is_wanted() {
            clock::advance(allocated_bytes.wrapping_sub(counted_bytes));
        }
        if allocated_bytes >= marks.next_look_bytes.get() && LINE.is_armed() {
            marks.next_look_bytes.set(allocated_bytes + look());
        }
        if brake::is_watching() {
            brake::at_event();
        }
    });
}

/// Looks whether the heap has passed its line, and returns after how many bytes to look again.
#[inline(never)]
fn look() -> u64 {
    let mut step_bytes = LEAST_STEP_BYTES;
    let passed = LINE.passed(|line_bytes| {
        let active_bytes = jemalloc::active_bytes()?;
        step_bytes = (line_bytes.saturating_sub(active_bytes) / STEPS_TO_LINE)
            .clamp(LEAST_STEP_BYTES, MOST_STEP_BYTES);
        Some(active_bytes)
    });
    if passed {
        // The worker may come too late to say so.
        brake::watch();
        PASSED_TOTAL.fetch_add(1, Ordering::Relaxed);
        installed::ring_from_event(ring::LOOK);
    }
    step_bytes
}
