//! The pool: what may be promised, what is, and who waits.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::meter::{Outstanding, clock};
use crate::reserve::decision::{Forecast, MOST_BYTES, Reading, decide};
use crate::reserve::queue::Queue;
use crate::reserve::waiter::{State, Waiter};
use crate::reserve::{Reservation, ReserveError};
use crate::sys::clock::coarse_ms;
use crate::sys::fork;
use crate::sys::lock::Mutex;
use crate::sys::wake::wake;
use crate::usage::Usage;

/// What a pool needs of the manager. Called under the pool's lock: it must not come back to the pool.
pub(crate) trait Source: Send + Sync {
    /// A fresh picture; allocates nothing.
    fn usage(&self) -> Usage;
    /// Whether anything may be promised at all; not under high pressure. Whoever changes the answer has the pool look after it.
    fn may_promise(&self) -> bool;
    /// Somebody waits: a cleanup could make room. Not under the lock.
    fn somebody_waits(&self);
}

/// One per process and manager. A forked child starts an empty one; whoever still holds the parent's there finds its numbers
/// harmless and never takes its lock.
pub(crate) struct Pool {
    outstanding: Arc<Outstanding>,
    /// Of all reservations, filled or not; for people, no decision rests on it.
    reserved_bytes: AtomicU64,
    forecast: Forecast,
    /// The queue's length, to be read without its lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue<Arc<Waiter>>>,
    closed: AtomicBool,
    source: Weak<dyn Source>,
    generation: u64,
}

/// What became of a request that may wait.
pub(super) enum Asked {
    Granted,
    Waits { ticket: u64, waiter: Arc<Waiter> },
}

impl Pool {
    pub(crate) fn new(source: Weak<dyn Source>) -> Arc<Self> {
        Arc::new(Pool {
            outstanding: Arc::new(Outstanding::new()),
            reserved_bytes: AtomicU64::new(0),
            forecast: Forecast::new(),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(Queue::new()),
            closed: AtomicBool::new(false),
            source,
            generation: fork::generation(),
        })
    }

    /// A reservation now or not at all.
    #[inline]
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: u64) -> Result<Reservation, ReserveError> {
        self.claim(bytes)?;
        Ok(Reservation::claimed(self, bytes))
    }

    /// Adds `bytes` to what is outstanding, if there is room beside all who wait.
    #[inline]
    pub(super) fn claim(&self, bytes: u64) -> Result<(), ReserveError> {
        if self.claim_by_forecast(bytes) {
            return Ok(());
        }
        self.claim_by_reading(bytes)
    }

    /// As `claim`, for whoever may have been left behind by a fork.
    pub(super) fn claim_here(&self, bytes: u64) -> Result<(), ReserveError> {
        if self.is_foreign() {
            return Err(ReserveError::ManagerGone {
                requested_bytes: bytes,
            });
        }
        self.claim(bytes)
    }

    /// Without a lock or a system call: enough as long as there is plenty.
    #[inline]
    fn claim_by_forecast(&self, bytes: u64) -> bool {
        bytes == 0
            || self.waiting.load(Ordering::Relaxed) == 0
                && self.outstanding.claim_if(bytes, |outstanding| {
                    // The clock after the sum: what left the sum because it was filled is on the clock.
                    let clock_bytes = clock::allocated_bytes();
                    self.forecast
                        .has_room(bytes, outstanding, clock_bytes, coarse_ms)
                })
    }

    #[cold]
    fn claim_by_reading(&self, bytes: u64) -> Result<(), ReserveError> {
        // From the first request on, which takes a reading after this.
        clock::want();
        let source = self.source(bytes)?;
        let queue = self.queue.lock();
        self.examine(&*source, bytes, queue.bytes())
    }

    /// As `claim`, but with a place in the queue when there is no room.
    pub(super) fn claim_or_wait(&self, bytes: u64, waker: &Waker) -> Result<Asked, ReserveError> {
        let source = self.source(bytes)?;
        if self.claim_by_forecast(bytes) {
            return Ok(Asked::Granted);
        }
        clock::want();
        let waiter = Arc::new(Waiter::new(waker.clone()));
        let mut spare = Queue::spare(0);
        let (verdict, ticket) = loop {
            let mut queue = self.queue.lock();
            if let Some(len) = queue.wants_spare().filter(|&len| len > spare.capacity()) {
                drop(queue);
                spare = Queue::spare(len);
                continue;
            }
            queue.move_into(&mut spare);
            let ahead = queue.bytes();
            let ticket = queue.push(bytes.min(MOST_BYTES), Arc::clone(&waiter));
            // Seen to wait before the examination: what is given back later finds somebody to serve.
            self.waiting.store(queue.len(), Ordering::SeqCst);
            let verdict = self.examine(&*source, bytes, ahead);
            if !verdict.is_err_and(ReserveError::is_waited_for) {
                queue.remove(ticket);
                self.waiting.store(queue.len(), Ordering::SeqCst);
            }
            break (verdict, ticket);
        };
        match verdict {
            Ok(()) => Ok(Asked::Granted),
            Err(error) if error.is_waited_for() => {
                source.somebody_waits();
                Ok(Asked::Waits { ticket, waiter })
            }
            Err(error) => Err(error),
        }
    }

    /// Claims `bytes` if a fresh reading leaves room for them and for `ahead`. Under the lock.
    fn examine(&self, source: &dyn Source, bytes: u64, ahead: u64) -> Result<(), ReserveError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(ReserveError::ManagerGone {
                requested_bytes: bytes,
            });
        }
        let claimed = bytes.min(MOST_BYTES);
        loop {
            // The claim comes before the reading. What others claim by the forecast meanwhile counts this one already; what
            // scopes fill meanwhile counts twice, here and in the reading, and not never.
            let outstanding = self.outstanding.claim(claimed);
            let reading = self.read(source);
            let verdict = decide(reading, source.may_promise(), outstanding, ahead, bytes);
            let Err(error) = verdict else {
                return Ok(());
            };
            self.outstanding.unclaim(claimed);
            // Counted twice, or given back meanwhile: that is no reason to refuse.
            let moved = self.outstanding.bytes() < outstanding;
            if !(moved && matches!(error, ReserveError::NoRoom { .. })) {
                return Err(error);
            }
        }
    }

    /// Takes a reading and lets others use it, but under pressure: without a forecast nothing is granted that this did not see.
    /// Under the lock.
    fn read(&self, source: &dyn Source) -> Option<Reading> {
        let clock_bytes = clock::allocated_bytes();
        let now_ms = coarse_ms();
        let reading = Reading::of(&source.usage());
        let forecast = reading.filter(|_| source.may_promise());
        self.forecast.set(forecast, clock_bytes, now_ms);
        reading
    }

    /// What a fresh look says to somebody whose time is up.
    pub(super) fn shortage(&self, bytes: u64) -> ReserveError {
        let source = match self.source(bytes) {
            Ok(source) => source,
            Err(error) => return error,
        };
        let queue = self.queue.lock();
        let outstanding = self.outstanding.bytes();
        match self.read(&*source) {
            Some(reading) => ReserveError::TimedOut {
                requested_bytes: bytes,
                headroom_bytes: reading.headroom_bytes,
                outstanding_bytes: outstanding,
                waiting_bytes: queue.bytes(),
                under_pressure: !source.may_promise(),
            },
            None => ReserveError::UnknownLimit {
                requested_bytes: bytes,
            },
        }
    }

    /// A reservation holds `bytes` more.
    #[inline]
    pub(super) fn reserved(&self, bytes: u64) {
        self.reserved_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A reservation holds `bytes` less, and its tab says so already.
    #[inline]
    pub(super) fn given_back(&self, bytes: u64) {
        self.reserved_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.serve_if_any();
    }

    #[inline]
    fn serve_if_any(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.serve();
        }
    }

    /// Gives up a place in the queue, and what may have been granted to it.
    pub(super) fn leave(&self, ticket: u64, waiter: &Waiter, bytes: u64) {
        if self.is_foreign() {
            return;
        }
        let mut queue = self.queue.lock();
        let place = queue.remove(ticket);
        self.waiting.store(queue.len(), Ordering::SeqCst);
        let left = waiter.leave();
        drop(queue);
        drop(place);
        if let State::Granted = left {
            self.outstanding.unclaim(bytes);
        }
        // Whoever stood behind may fit.
        self.serve_if_any();
    }

    /// The worker has looked: takes a reading for the time until it looks again, and serves those who wait.
    pub(crate) fn look(&self) {
        if let Ok(source) = self.source(0) {
            let queue = self.queue.lock();
            self.read(&*source);
            drop(queue);
            drop(source);
            self.serve_if_any();
        }
    }

    /// Grants from the front of the queue for as long as there is room.
    #[cold]
    fn serve(&self) {
        let Ok(source) = self.source(0) else {
            return;
        };
        // One by one, so that neither a list nor a waker is handled under the lock.
        while let Some(waker) = self.serve_front(&*source) {
            wake(waker);
        }
    }

    /// Answers the first in the queue; returns whom to wake, or `None` when nobody has an answer coming.
    fn serve_front(&self, source: &dyn Source) -> Option<Waker> {
        let mut queue = self.queue.lock();
        let bytes = queue.front()?.bytes;
        let verdict = self.examine(source, bytes, 0);
        if verdict.is_err_and(|error| error.may_pass()) {
            return None;
        }
        let waiter = queue.pop_front()?;
        self.waiting.store(queue.len(), Ordering::SeqCst);
        // Still under the lock: a future that is dropped now finds either its place or its answer.
        waiter.answer(verdict)
    }

    /// The manager goes away: all who wait are told.
    pub(crate) fn close(&self) {
        if let Ok(source) = self.source(0) {
            let queue = self.queue.lock();
            self.closed.store(true, Ordering::Relaxed);
            drop(queue);
            drop(source);
            self.serve_if_any();
        }
    }

    fn source(&self, bytes: u64) -> Result<Arc<dyn Source>, ReserveError> {
        let gone = ReserveError::ManagerGone {
            requested_bytes: bytes,
        };
        if self.is_foreign() {
            return Err(gone);
        }
        self.source.upgrade().ok_or(gone)
    }

    /// Whether this is the parent's pool, and the caller a forked child: its lock may be held by a thread that is not here.
    #[inline]
    pub(super) fn is_foreign(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(super) fn outstanding(&self) -> &Arc<Outstanding> {
        &self.outstanding
    }

    /// What is promised, filled or not.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes.load(Ordering::Relaxed)
    }

    /// What is promised and not filled yet.
    pub(crate) fn unfilled_bytes(&self) -> u64 {
        self.outstanding.bytes()
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
