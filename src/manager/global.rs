//! The manager of the process.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::manager::builder::InstallError;
use crate::manager::{MemoryManager, MemoryManagerBuilder, event};
use crate::meter::{self, ring};
use crate::sys::fork;

/// It sleeps, and starts one thread; jemalloc and the standard library want their part too (64 KiB were not enough).
const SENTRY_STACK_BYTES: usize = 256 << 10;

struct Installed {
    manager: Box<MemoryManager>,
    first: &'static Location<'static>,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// The memory manager of this process: the installed one, else one made from the environment on first use.
///
/// Never fails: with a bad environment it starts with defaults, and the error is a finding and a log line.
///
/// ```
/// let manager = plimsoll::get_memory_manager();
/// println!("{}", manager.usage());
/// manager.force_cleanup();
/// ```
#[track_caller]
pub fn get_memory_manager() -> &'static MemoryManager {
    match INSTALLED.get() {
        Some(installed) => &installed.manager,
        None => make(Location::caller()),
    }
}

/// The installed one; makes none. For those who may look before the program has installed its own.
#[cfg(feature = "page")]
pub(crate) fn installed_memory_manager() -> Option<&'static MemoryManager> {
    INSTALLED.get().map(|installed| &*installed.manager)
}

#[cold]
fn make(first: &'static Location<'static>) -> &'static MemoryManager {
    // Built outside of the cell: whoever comes second throws its own away instead of waiting.
    let manager = MemoryManagerBuilder::new().build_whatever_it_takes();
    match install(manager, first) {
        Ok(manager) => {
            // Only now: a subscriber may well ask for the manager.
            for finding in &manager.shared.config.findings {
                tracing::error!(
                    target: "plimsoll",
                    code = finding.code,
                    severity = %finding.severity,
                    "{}",
                    finding.message
                );
            }
            manager
        }
        Err(_) => get_memory_manager(),
    }
}

pub(super) fn install(
    manager: MemoryManager,
    first: &'static Location<'static>,
) -> Result<&'static MemoryManager, InstallError> {
    let manager = Box::new(manager);
    match INSTALLED.set(Installed { manager, first }) {
        Ok(()) => {
            let manager = get_memory_manager();
            meter::set_starter(start_listener);
            event::install_every(manager.shared.config.meter_interval_bytes);
            meter::install(&manager.shared.bell);
            // The heap line is the worker's to arm, and the worker did not know that it serves the process.
            manager.shared.bell.ring(ring::LOOK);
            Ok(manager)
        }
        Err(Installed { manager, .. }) => Err(InstallError::AlreadyInUse {
            manager,
            first: INSTALLED.get().map_or(first, |installed| installed.first),
        }),
    }
}

/// The first scope of a process without a manager leaves a sentry, a thread that sleeps until something is rung and then makes one: a
/// scope inside the allocator can ring, but start nothing. Once per process; a forked child does without, and makes a manager at the
/// edge of the scope.
pub(super) fn stand_sentry() {
    static STOOD: AtomicBool = AtomicBool::new(false);
    if STOOD.load(Ordering::Relaxed)
        || STOOD.swap(true, Ordering::Relaxed)
        || INSTALLED.get().is_some()
    {
        return;
    }
    // Should it fail, rings wait for the edge of a scope.
    let _ = std::thread::Builder::new()
        .name("plimsoll-sentry".to_owned())
        .stack_size(SENTRY_STACK_BYTES)
        .spawn(|| {
            if meter::stand_sentry() {
                start_listener(Location::caller());
            }
        });
}

/// A scope or counter rang and nobody listens: makes the manager, or starts its threads in a forked child. Not on the caller's
/// thread, and once per process.
pub(super) fn start_listener(by: &'static Location<'static>) {
    static STARTED_IN: AtomicU64 = AtomicU64::new(0);
    // Before there is a manager: a fork while the first one is being made leaves the child to make its own.
    fork::watch();
    let generation = fork::generation() + 1;
    if STARTED_IN.swap(generation, Ordering::AcqRel) == generation {
        return;
    }
    let started = std::thread::Builder::new()
        .name("plimsoll-start".to_owned())
        .spawn(move || {
            let manager = INSTALLED
                .get()
                .map_or_else(|| make(by), |installed| &*installed.manager);
            manager.shared.threads();
        });
    if started.is_err() {
        STARTED_IN.store(0, Ordering::Release);
    }
}
