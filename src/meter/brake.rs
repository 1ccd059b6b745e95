//! The brake: above the hard line a thread that allocates waits for the cleanup, briefly.
//!
//! ```text
//! worker: takes a reading --> sets the line: anonymous memory now + what is left to the hard line; watching from Elevated on
//! event:  watching? --pread--> above the line --> rings the worker, then sleeps in short steps until memory is below the line
//!                                                 again, or the thread's time is up
//! ```
//!
//! It is what the kernel does above `memory.high`, but it waits for our own cleanup. Without it a thread that fills memory can be
//! killed before the worker has had the processor. A thread may hold a lock while it waits, also one that a hook wants: its time
//! is short for that reason.
//!
//! The process's own anonymous memory decides, against the line of the last reading. What the limit counts beside it (neighbours in the
//! cgroup, page cache, the kernel's own) is in that line, as old as the reading; a page cache that shrinks to make room can't hide growth.

use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::meter::bell::ring;
use crate::meter::installed;
use crate::reading::process::Statm;
use crate::sys::clock;
use crate::sys::fork::PerProcess;

/// How long a thread waits at most, each time: some cleanups, and no longer than a request can bear.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long it sleeps before it looks again. Longer steps waste what a cleanup has freed, shorter ones the processor.
const STEP_NS: u32 = 200_000;

const NO_LINE: u64 = u64::MAX;

/// Anonymous memory above which threads are braked.
static LINE_BYTES: AtomicU64 = AtomicU64::new(NO_LINE);
/// Whether events look at all.
static WATCHING: AtomicBool = AtomicBool::new(false);
static OWN: OnceLock<PerProcess<Own>> = OnceLock::new();

/// One process's; a forked child begins anew.
struct Own {
    /// `None` where it can't be read.
    statm: Option<Statm>,
    pauses: Pauses,
}

impl Own {
    fn open() -> Self {
        Own {
            statm: Statm::open(Path::new("/")),
            pauses: Pauses::default(),
        }
    }
}

#[derive(Default)]
struct Pauses {
    total: AtomicU64,
    at_bound_total: AtomicU64,
    paused_ns_total: AtomicU64,
    worst_ns: AtomicU64,
}

thread_local! {
    // Without a destructor: read inside the allocator.
    static IS_EXEMPT: Cell<bool> = const { Cell::new(false) };
}

/// What the brake has done so far, in this process: a forked child counts anew.
///
/// ```
/// let brake = plimsoll::get_memory_manager().stats().brake;
/// assert_eq!(brake.pauses_total, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BrakeStats {
    /// How often a thread was made to wait.
    pub pauses_total: u64,
    /// How often its time was up before memory was below the line.
    pub at_bound_total: u64,
    /// All waiting, of all threads.
    pub paused_ms_total: u64,
    /// The longest wait.
    pub worst_pause_us: u64,
}

/// This thread is never braked: others wait for what it does.
pub(crate) fn exempt_this_thread() {
    IS_EXEMPT.set(true);
}

/// The process's anonymous memory, as the brake sees it; `None` where it can't be read, and no brake works. Not inside the
/// allocator: opens its file once per process.
pub(crate) fn anonymous_bytes() -> Option<u64> {
    let own = OWN.get_or_init(|| PerProcess::new(Own::open()));
    let own = own.get(|_| Own::open());
    own.statm.as_ref()?.read()?.anonymous_bytes
}

/// From now on threads wait while anonymous memory is above `line_bytes`; `watching`: whether each event is to look.
pub(crate) fn set_brake(line_bytes: u64, watching: bool) {
    LINE_BYTES.store(line_bytes, Ordering::Relaxed);
    WATCHING.store(watching, Ordering::Relaxed);
}

/// Lets go: nobody waits any more.
pub(crate) fn release_brake() {
    WATCHING.store(false, Ordering::Relaxed);
    LINE_BYTES.store(NO_LINE, Ordering::Relaxed);
}

/// The heap has passed a line since the last reading: from now on events look for themselves, until the next reading.
pub(super) fn watch() {
    if LINE_BYTES.load(Ordering::Relaxed) != NO_LINE {
        WATCHING.store(true, Ordering::Relaxed);
    }
}

#[inline]
pub(super) fn is_watching() -> bool {
    WATCHING.load(Ordering::Relaxed)
}

/// A thread's event while watching. Inside the allocator: a `pread` of a held descriptor; above the line one futex wake and the
/// pause. The child of a fork has no descriptor of its own before its worker runs, and is not braked before that.
#[cold]
pub(super) fn at_event() {
    if IS_EXEMPT.try_with(Cell::get).unwrap_or(true) || std::thread::panicking() {
        return;
    }
    if let Some(own) = OWN.get().and_then(PerProcess::peek)
        && let Some(statm) = &own.statm
        && is_above(statm)
    {
        // The worker may not know yet, and all wait for it.
        installed::ring_from_event(ring::LOOK);
        pause(&own.pauses, || is_above(statm));
    }
}

fn is_above(statm: &Statm) -> bool {
    let anonymous_bytes = statm.read().and_then(|memory| memory.anonymous_bytes);
    // What can't be read holds nobody up.
    anonymous_bytes.is_some_and(|bytes| bytes > LINE_BYTES.load(Ordering::Relaxed))
}

/// Sleeps while `must_wait`, until the time is up.
fn pause(pauses: &Pauses, must_wait: impl Fn() -> bool) {
    let start_ns = clock::monotonic_ns();
    let (paused_ns, at_bound) = loop {
        clock::pause(STEP_NS);
        let paused_ns = clock::monotonic_ns().saturating_sub(start_ns);
        if !must_wait() {
            break (paused_ns, false);
        }
        if paused_ns >= LONGEST_PAUSE.as_nanos() as u64 {
            break (paused_ns, true);
        }
    };
    pauses.total.fetch_add(1, Ordering::Relaxed);
    pauses
        .at_bound_total
        .fetch_add(at_bound.into(), Ordering::Relaxed);
    pauses
        .paused_ns_total
        .fetch_add(paused_ns, Ordering::Relaxed);
    pauses.worst_ns.fetch_max(paused_ns, Ordering::Relaxed);
}

pub(crate) fn brake_stats() -> BrakeStats {
    let Some(Own { pauses, .. }) = OWN.get().and_then(PerProcess::peek) else {
        return BrakeStats::default();
    };
    BrakeStats {
        pauses_total: pauses.total.load(Ordering::Relaxed),
        at_bound_total: pauses.at_bound_total.load(Ordering::Relaxed),
        paused_ms_total: pauses.paused_ns_total.load(Ordering::Relaxed) / 1_000_000,
        worst_pause_us: pauses.worst_ns.load(Ordering::Relaxed) / 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_to_its_bound_at_most_and_no_longer_than_it_must() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            looks.get()
        };
        let pauses = Pauses::default();
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        pause(&pauses, || look() <= 3);
        assert_eq!(looks.get(), 4);
        assert_eq!(
            (count(&pauses.total), count(&pauses.at_bound_total)),
            (1, 0)
        );
        let first_ns = count(&pauses.paused_ns_total);
        assert!(first_ns >= 4 * u64::from(STEP_NS), "{first_ns}");

        // It never gets better. Each look comes a step after the one before, so the count is bounded on any machine.
        looks.set(0);
        pause(&pauses, || look() > 0);
        assert!(looks.get() <= LONGEST_PAUSE.as_nanos() / u128::from(STEP_NS));
        assert_eq!(
            (count(&pauses.total), count(&pauses.at_bound_total)),
            (2, 1)
        );
        let longest_ns = LONGEST_PAUSE.as_nanos() as u64;
        assert!(count(&pauses.worst_ns) >= longest_ns);
        assert!(count(&pauses.paused_ns_total) >= first_ns + longest_ns);
    }
}
