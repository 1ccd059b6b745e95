//! [`WaitingForCapacity`]: until pressure is below High, as a future and for a thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::pressure::wakers::Place;
use crate::pressure::{ManagerGone, PressureLevel, Watch};
use crate::sys::wake::Sleeper;

/// The future that [`MemoryManager::wait_for_capacity`](crate::MemoryManager::wait_for_capacity) returns: ready when it is
/// polled while the level is below [`High`](PressureLevel::High). To stop waiting, drop it.
///
/// ```
/// let capacity = plimsoll::get_memory_manager().wait_for_capacity();
/// let waits = std::thread::spawn(|| futures::executor::block_on(capacity));
/// waits.join().unwrap()?;
/// # Ok::<(), plimsoll::ManagerGone>(())
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct WaitingForCapacity {
    watch: Arc<Watch>,
    place: Option<Place>,
}

impl WaitingForCapacity {
    pub(crate) fn new(watch: &Arc<Watch>) -> Self {
        WaitingForCapacity {
            watch: Arc::clone(watch),
            place: None,
        }
    }

    /// Waits on this thread, but not past `timeout`.
    pub(crate) fn wait(mut self, timeout: Duration) -> Result<(), NoCapacity> {
        let start = Instant::now();
        let deadline = start.checked_add(timeout);
        let sleeper = Arc::new(Sleeper::default());
        let waker = Waker::from(Arc::clone(&sleeper));
        let mut context = Context::from_waker(&waker);
        let mut in_time = true;
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(verdict) => return verdict.map_err(NoCapacity::from),
                Poll::Pending if in_time => in_time = sleeper.sleep(deadline),
                Poll::Pending => {
                    let waited_ms = start.elapsed().as_millis();
                    return Err(NoCapacity::TimedOut {
                        level: self.watch.level(),
                        waited_ms: waited_ms.try_into().unwrap_or(u64::MAX),
                    });
                }
            }
        }
    }
}

impl Future for WaitingForCapacity {
    type Output = Result<(), ManagerGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.watch.poll(&mut this.place, context.waker(), |latest| {
            (latest.to < PressureLevel::High).then_some(())
        })
    }
}

impl Drop for WaitingForCapacity {
    fn drop(&mut self) {
        self.watch.leave(self.place.take());
    }
}

impl fmt::Debug for WaitingForCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingForCapacity").finish_non_exhaustive()
    }
}

/// Why there is no capacity.
///
/// ```
/// use std::time::Duration;
/// use plimsoll::{NoCapacity, get_memory_manager};
///
/// match get_memory_manager().wait_for_capacity_timeout(Duration::from_secs(1)) {
///     Ok(()) => { /* do the work */ }
///     Err(NoCapacity::TimedOut { level, .. }) => eprintln!("busy: memory is {level}"),
///     Err(error) => eprintln!("{error}"),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoCapacity {
    /// Not within the time.
    TimedOut {
        /// The level at its end: [`High`](PressureLevel::High) or above.
        level: PressureLevel,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The manager went away meanwhile.
    ManagerGone,
}

impl From<ManagerGone> for NoCapacity {
    fn from(_: ManagerGone) -> Self {
        NoCapacity::ManagerGone
    }
}

impl fmt::Display for NoCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoCapacity::TimedOut { level, waited_ms } => write!(
                f,
                "memory pressure is {level}, and was {} or above for the {waited_ms} ms that were waited; \
                 turn the work away, or wait longer",
                PressureLevel::High
            ),
            NoCapacity::ManagerGone => ManagerGone.fmt(f),
        }
    }
}

impl std::error::Error for NoCapacity {}
