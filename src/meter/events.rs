//! The meter's clockwork: whether jemalloc calls back, and how often.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::thread_event::{self, ThreadEvent};

/// How often the meter looks unless it is told otherwise. Measured: half of it costs 1.4 times as much for blocks of 4 to 32 KiB, and
/// twice as much would notice a limit twice as late to save one to two percent there.
pub(crate) const DEFAULT_INTERVAL_BYTES: u64 = 256 << 10;

const NOT_INSTALLED: u64 = 0;
const UNAVAILABLE: u64 = u64::MAX;
/// Between a process's first try and its outcome.
const UNDER_WAY: u64 = u64::MAX - 1;

static STATE: AtomicU64 = AtomicU64::new(NOT_INSTALLED);

/// What is known of the events of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    /// Nobody asked for them yet.
    NotInstalled,
    /// jemalloc is not the allocator, does not know them, or has no slot left: scopes are judged at their edges and checks, the
    /// process by the worker's tick.
    Unavailable,
    /// About every so many bytes that a thread allocates.
    EveryBytes(u64),
}

/// What holds in this process.
pub(crate) fn events() -> Events {
    match STATE.load(Ordering::Acquire) {
        NOT_INSTALLED | UNDER_WAY => Events::NotInstalled,
        UNAVAILABLE => Events::Unavailable,
        bytes => Events::EveryBytes(bytes),
    }
}

/// What a thread may have allocated since its last event.
pub(crate) fn interval_bytes() -> u64 {
    match events() {
        Events::EveryBytes(bytes) => bytes,
        Events::NotInstalled | Events::Unavailable => DEFAULT_INTERVAL_BYTES,
    }
}

/// Installs `E`, once per process; jemalloc takes no callback back, so the first interval stays.
pub(crate) fn install_events<E: ThreadEvent>(interval_bytes: impl FnOnce() -> u64) {
    // Every future with a limit comes by: a load that fails leaves the line to all processors.
    if STATE.load(Ordering::Acquire) != NOT_INSTALLED {
        return;
    }
    if STATE
        .compare_exchange(
            NOT_INSTALLED,
            UNDER_WAY,
            Ordering::AcqRel,
            Ordering::Relaxed,
        )
        .is_err()
    {
        return;
    }
    let interval_bytes = interval_bytes();
    let state = if thread_event::install::<E>(interval_bytes) {
        interval_bytes
    } else {
        UNAVAILABLE
    };
    STATE.store(state, Ordering::Release);
}
