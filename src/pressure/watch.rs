//! [`Watch`]: the level now, and who is to be told when it changes.

use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::pressure::wakers::{Place, Wakers};
use crate::pressure::{
    CurrentLevel, ManagerGone, PressureCause, PressureChange, PressureLevel, PressureSubscription,
    Subscribers,
};
use crate::sys::fork;
use crate::sys::lock::Mutex;
use crate::sys::wake::wake;

/// One per process and manager. A forked child starts its own, at the level of that moment and with nobody but the
/// subscribers; futures of the parent find it gone and never take its lock.
pub(crate) struct Watch {
    /// Written under the lock, read without.
    level: CurrentLevel,
    /// Where this process began: a subscription of the parent's is told from here.
    first_level: PressureLevel,
    state: Mutex<State>,
    subscribers: Arc<Subscribers>,
    generation: u64,
}

struct State {
    latest: PressureChange,
    wakers: Wakers,
    closed: bool,
}

impl Watch {
    pub(crate) fn new(subscribers: &Arc<Subscribers>, level: PressureLevel) -> Arc<Self> {
        let latest = PressureChange {
            from: level,
            to: level,
            cause: PressureCause::Used,
            bound: None,
        };
        let watch = Watch {
            level: CurrentLevel::new(),
            first_level: level,
            state: Mutex::new(State {
                latest,
                wakers: Wakers::new(),
                closed: false,
            }),
            subscribers: Arc::clone(subscribers),
            generation: fork::generation(),
        };
        watch.level.set(level);
        Arc::new(watch)
    }

    /// The level now. One atomic load.
    #[inline]
    pub(crate) fn level(&self) -> PressureLevel {
        self.level.get()
    }

    pub(super) fn first_level(&self) -> PressureLevel {
        self.first_level
    }

    /// The level is another: everybody who waits is woken, one by one and outside of the lock. What is no change does nothing.
    pub(crate) fn set(self: &Arc<Self>, change: PressureChange) {
        let mut state = self.state.lock();
        if change.to == state.latest.to {
            return;
        }
        state.latest = change;
        self.level.set(change.to);
        let waiting = state.wakers.take();
        drop(state);
        waiting.for_each(wake);
        self.start_subscribers();
    }

    /// Starts the threads that are missing: all of them in a forked child, else those that could not be started before.
    pub(crate) fn start_subscribers(self: &Arc<Self>) {
        self.subscribers.start(self);
    }

    pub(crate) fn subscribe(
        self: &Arc<Self>,
        call: impl Fn(&PressureChange) + Send + Sync + 'static,
    ) -> PressureSubscription {
        let subscription = self.subscribers.add(Box::new(call), self.level());
        self.start_subscribers();
        subscription
    }

    /// The manager goes away: all who wait are told, and the subscribers' threads end.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = state.wakers.take();
        drop(state);
        waiting.for_each(wake);
    }

    /// Whether this is the parent's, and the caller a forked child: its lock may be held by a thread that is not here.
    fn is_foreign(&self) -> bool {
        self.generation != fork::generation()
    }

    /// What `answer` says to the latest change; as long as that is nothing, `waker` is woken at the next. `place` is where it
    /// waits between two calls.
    pub(super) fn poll<T>(
        &self,
        place: &mut Option<Place>,
        waker: &Waker,
        answer: impl Fn(PressureChange) -> Option<T>,
    ) -> Poll<Result<T, ManagerGone>> {
        if self.is_foreign() {
            return Poll::Ready(Err(ManagerGone));
        }
        // Cloning and dropping wakers is user code: neither happens under the lock.
        let mut fresh = None;
        let mut spare = Wakers::spare(0);
        loop {
            let mut state = self.state.lock();
            let answer = if state.closed {
                Some(Err(ManagerGone))
            } else {
                answer(state.latest).map(Ok)
            };
            if let Some(answer) = answer {
                // Whatever brought the answer took the waker as well.
                *place = None;
                return Poll::Ready(answer);
            }
            let old = place.as_ref().and_then(|place| state.wakers.get(place));
            if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return Poll::Pending;
            }
            let Some(new) = fresh.take() else {
                drop(state);
                fresh = Some(waker.clone());
                continue;
            };
            if let Some(old) = old {
                let replaced = std::mem::replace(old, new);
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
            let wanted = state.wakers.wants_spare();
            if let Some(len) = wanted.filter(|&len| len > spare.capacity()) {
                drop(state);
                fresh = Some(new);
                spare = Wakers::spare(len);
                continue;
            }
            state.wakers.move_into(&mut spare);
            *place = Some(state.wakers.add(new));
            return Poll::Pending;
        }
    }

    /// Gives up a place.
    pub(super) fn leave(&self, place: Option<Place>) {
        if let Some(place) = place
            && !self.is_foreign()
        {
            let left = self.state.lock().wakers.remove(place);
            drop(left);
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().wakers.len()
    }
}
