//! Somebody who waits for a reservation, as the pool and the future see it.

use std::task::Waker;

use crate::reserve::ReserveError;
use crate::sys::lock::Mutex;

/// Locked by the pool inside of its own lock, so never the other way round; wakers are woken and dropped outside of both.
pub(super) struct Waiter {
    state: Mutex<State>,
}

/// ```text
/// Waiting --(pool)--> Granted | Failed --(future)--> Left
///    +----------------(future dropped)----------------^
/// ```
pub(super) enum State {
    Waiting(Waker),
    /// The bytes are claimed, and belong to whoever takes this state.
    Granted,
    Failed(ReserveError),
    Left,
}

impl Waiter {
    pub(super) fn new(waker: Waker) -> Self {
        Waiter {
            state: Mutex::new(State::Waiting(waker)),
        }
    }

    /// The pool's answer; returns whom to wake.
    pub(super) fn answer(&self, verdict: Result<(), ReserveError>) -> Option<Waker> {
        let mut state = self.state.lock();
        let answered = match verdict {
            Ok(()) => State::Granted,
            Err(error) => State::Failed(error),
        };
        match std::mem::replace(&mut *state, answered) {
            State::Waiting(waker) => Some(waker),
            _ => None,
        }
    }

    /// The answer, or `None`: then `waker` is woken when there is one.
    pub(super) fn poll(&self, waker: &Waker) -> Option<Result<(), ReserveError>> {
        // Cloning and dropping wakers is user code: neither happens under the lock.
        let mut fresh = None;
        loop {
            let mut state = self.state.lock();
            let left = match &mut *state {
                State::Waiting(old) if old.will_wake(waker) => return None,
                State::Waiting(old) => match fresh.take() {
                    Some(new) => {
                        let replaced = std::mem::replace(old, new);
                        drop(state);
                        drop(replaced);
                        return None;
                    }
                    None => {
                        drop(state);
                        fresh = Some(waker.clone());
                        continue;
                    }
                },
                _ => std::mem::replace(&mut *state, State::Left),
            };
            drop(state);
            return match left {
                State::Granted => Some(Ok(())),
                State::Failed(error) => Some(Err(error)),
                // Taken before: the future does not ask again.
                State::Waiting(_) | State::Left => None,
            };
        }
    }

    /// The future is dropped: what it leaves is the caller's to give back.
    pub(super) fn leave(&self) -> State {
        std::mem::replace(&mut *self.state.lock(), State::Left)
    }
}
