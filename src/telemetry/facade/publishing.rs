//! [`Publishing`]: a thread that publishes at an interval.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::manager::get_memory_manager;
use crate::meter;
use crate::sys::fork;
use crate::sys::lock::{Condvar, Mutex};
use crate::sys::wake::shielded;
use crate::telemetry::facade::Publisher;

/// There is nothing new more often.
const SHORTEST: Duration = Duration::from_secs(1);

/// Publishes now, and every `interval` from then on, what [`get_memory_manager`](crate::get_memory_manager) knows; for as long as the guard
/// lives. On a thread of its own, because it asks hooks for their [estimates](crate::CleanupHook::estimate). An interval below a
/// second is one of a second.
///
/// Install your manager first: where there is none, this makes one from the environment. The recorder may come later; what was
/// published before is lost to it. A panic of the recorder ends one round and not the thread.
///
/// # Errors
///
/// That of the system, when no thread can be started.
///
/// ```
/// use std::time::Duration;
///
/// let publishing = plimsoll::telemetry::facade::start(Duration::from_secs(10))?;
/// // ... the program ...
/// drop(publishing);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn start(interval: Duration) -> io::Result<Publishing> {
    fork::watch();
    let shared = Arc::new(Shared::default());
    let thread = std::thread::Builder::new()
        .name("plimsoll-facade".to_owned())
        .spawn({
            let shared = Arc::clone(&shared);
            move || shared.run(interval.max(SHORTEST))
        })?;
    Ok(Publishing(Some(Running {
        shared,
        thread,
        generation: fork::generation(),
    })))
}

/// Keeps publishing; dropping it ends that.
///
/// The drop waits for the thread unless that is in the middle of a round, which it then finishes: a hook that is asked for its estimate may
/// want what the dropper holds. A forked child has no such thread, and starts its own.
///
/// ```
/// use std::time::Duration;
///
/// // For as long as the program runs:
/// std::mem::forget(plimsoll::telemetry::facade::start(Duration::from_secs(10))?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the publishing"]
pub struct Publishing(Option<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    generation: u64,
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let Some(running) = self.0.take() else {
            return;
        };
        if running.generation != fork::generation() {
            // The parent's: its thread is not here, and may have held the lock at the fork.
            return std::mem::forget(running);
        }
        let mut state = running.shared.state.lock();
        state.ends = true;
        let is_busy = state.is_busy;
        drop(state);
        running.shared.changed.notify_all();
        if !is_busy {
            let _ = running.thread.join();
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    ends: bool,
    /// Runs code that is not ours.
    is_busy: bool,
}

impl Shared {
    fn run(&self, interval: Duration) {
        // A figure of pressure must not wait for it to be over.
        meter::exempt_this_thread();
        let mut publisher = Publisher::new();
        let mut state = self.state.lock();
        while !state.ends {
            state.is_busy = true;
            drop(state);
            shielded(|| publisher.publish(&get_memory_manager().snapshot()));
            state = self.state.lock();
            state.is_busy = false;
            // Later than any clock can show: never.
            let next = Instant::now().checked_add(interval);
            while !state.ends {
                let woken = match next {
                    None => Some(self.changed.wait(state)),
                    Some(next) => self.changed.wait_until(state, next),
                };
                match woken {
                    Some(woken) => state = woken,
                    None => {
                        state = self.state.lock();
                        break;
                    }
                }
            }
        }
    }
}
