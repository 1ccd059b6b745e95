//! [`Reserving`]: a reservation that may have to wait, as a future and for a thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::reserve::pool::Asked;
use crate::reserve::waiter::Waiter;
use crate::reserve::{Pool, Reservation, ReserveError};
use crate::sys::wake::Sleeper;

/// The future that [`MemoryManager::reserve`](crate::MemoryManager::reserve) returns. It takes its place in the queue when it
/// is first polled, and gives it up when it is dropped; what was granted meanwhile goes to the next.
#[must_use = "futures do nothing unless polled"]
pub struct Reserving {
    pool: Arc<Pool>,
    bytes: u64,
    place: Place,
}

enum Place {
    Nowhere,
    InQueue { ticket: u64, waiter: Arc<Waiter> },
    Done,
}

impl Reserving {
    pub(crate) fn new(pool: &Arc<Pool>, bytes: u64) -> Self {
        Reserving {
            pool: Arc::clone(pool),
            bytes,
            place: Place::Nowhere,
        }
    }

    fn ask(&mut self, waker: &Waker) -> Poll<Result<(), ReserveError>> {
        match &self.place {
            Place::Nowhere => match self.pool.claim_or_wait(self.bytes, waker) {
                Ok(Asked::Granted) => Poll::Ready(Ok(())),
                Ok(Asked::Waits { ticket, waiter }) => {
                    self.place = Place::InQueue { ticket, waiter };
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            },
            // Nobody answers here, and the waiter's lock may be held by a thread of the parent.
            Place::InQueue { .. } if self.pool.is_foreign() => {
                Poll::Ready(Err(ReserveError::ManagerGone {
                    requested_bytes: self.bytes,
                }))
            }
            Place::InQueue { waiter, .. } => waiter.poll(waker).map_or(Poll::Pending, Poll::Ready),
            Place::Done => panic!("a reservation is polled after it was granted or refused"),
        }
    }

    /// Waits on this thread, but not past `timeout`.
    pub(crate) fn wait(mut self, timeout: Duration) -> Result<Reservation, ReserveError> {
        let sleeper = Arc::new(Sleeper::default());
        let waker = Waker::from(Arc::clone(&sleeper));
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(verdict) = Pin::new(&mut self).poll(&mut context) {
            return verdict;
        }
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let in_time = sleeper.sleep(deadline);
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(verdict) => return verdict,
                Poll::Pending if in_time => {}
                Poll::Pending => {
                    let pool = Arc::clone(&self.pool);
                    let bytes = self.bytes;
                    // Out of the queue first: what the error says others wait for is not our own.
                    drop(self);
                    return Err(pool.shortage(bytes));
                }
            }
        }
    }
}

impl Future for Reserving {
    type Output = Result<Reservation, ReserveError>;

    /// # Panics
    /// When it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.ask(context.waker()).map(|verdict| {
            self.place = Place::Done;
            verdict.map(|()| Reservation::claimed(&self.pool, self.bytes))
        })
    }
}

impl Drop for Reserving {
    fn drop(&mut self) {
        if let Place::InQueue { ticket, waiter } = &self.place {
            self.pool.leave(*ticket, waiter, self.bytes);
        }
    }
}

impl fmt::Debug for Reserving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserving")
            .field("requested_bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
