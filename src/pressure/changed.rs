//! [`PressureChanged`]: the next change, as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::pressure::wakers::Place;
use crate::pressure::{PressureChange, PressureLevel, Watch};

/// The future that [`MemoryManager::pressure_changed`](crate::MemoryManager::pressure_changed) returns: the first change after
/// that call. Needs no runtime.
///
/// It never ends: awaited again by `&mut`, it yields the change from the level that it yielded last. So a loop over one of
/// them loses nothing but steps in between, however long each round takes, and it can be one branch of a `select!`. A level
/// that is back where it was told last is no change. Only what comes after the call is seen; what is now says
/// [`pressure`](crate::MemoryManager::pressure), asked *after* it.
///
/// ```
/// use futures::executor::block_on;
/// use plimsoll::{MemoryManager, PressureLevel};
///
/// let manager = MemoryManager::builder().build()?;
/// let mut changes = manager.pressure_changed();
/// let watching = std::thread::spawn(move || {
///     block_on(async {
///         while let Ok(change) = (&mut changes).await {
///             let refuses_work = change.to >= PressureLevel::High;
///             println!("{change}: {refuses_work}");
///         }
///     })
/// });
/// drop(manager); // which ends the loop
/// watching.join().unwrap();
/// # Ok::<(), plimsoll::BuildError>(())
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct PressureChanged {
    watch: Arc<Watch>,
    told: PressureLevel,
    place: Option<Place>,
}

impl PressureChanged {
    pub(crate) fn new(watch: &Arc<Watch>) -> Self {
        PressureChanged::since(watch, watch.level())
    }

    /// For somebody who was told `told` last.
    pub(super) fn since(watch: &Arc<Watch>, told: PressureLevel) -> Self {
        PressureChanged {
            watch: Arc::clone(watch),
            told,
            place: None,
        }
    }
}

impl Future for PressureChanged {
    type Output = Result<PressureChange, ManagerGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let told = this.told;
        let change = this.watch.poll(&mut this.place, context.waker(), |latest| {
            latest.since(told)
        });
        if let Poll::Ready(Ok(change)) = &change {
            this.told = change.to;
        }
        change
    }
}

impl Drop for PressureChanged {
    fn drop(&mut self) {
        self.watch.leave(self.place.take());
    }
}

impl fmt::Debug for PressureChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PressureChanged")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// The manager that was asked is gone: dropped, or left behind in the parent by a fork. Ask the one of this process.
///
/// ```
/// use futures::executor::block_on;
/// use plimsoll::{ManagerGone, MemoryManager};
///
/// let manager = MemoryManager::builder().build()?;
/// let changed = manager.pressure_changed();
/// drop(manager);
/// assert_eq!(block_on(changed), Err(ManagerGone));
/// # Ok::<(), plimsoll::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagerGone;

impl fmt::Display for ManagerGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the memory manager is gone, dropped or left behind by a fork; ask the one of this process",
        )
    }
}

impl std::error::Error for ManagerGone {}
