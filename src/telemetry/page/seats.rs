//! [`Seats`]: who reads, and who has stopped to.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::sys::lock::Mutex;

/// As many readers as may be at a time. Time is counted in frames here: one that stalls is known by what it has missed.
pub(super) struct Seats {
    most: usize,
    /// Who has missed so many frames in a row is gone.
    patience_frames: u64,
    taken: Mutex<Vec<Arc<Held>>>,
}

/// A place among the readers, until it is dropped, or lost because its reader takes nothing.
pub(super) struct Seat {
    seats: &'static Seats,
    held: Arc<Held>,
}

/// What belongs to a seat. Not with the reader alone: a body that is not polled can't give anything back by itself.
struct Held(Mutex<State>);

struct State {
    /// How many frames there were when its reader asked for more.
    asked_at: u64,
    is_lost: bool,
    greeting: VecDeque<Bytes>,
}

impl Seats {
    pub(super) fn new(most: usize, patience_frames: u64) -> Self {
        Seats {
            most,
            patience_frames,
            taken: Mutex::new(Vec::new()),
        }
    }

    /// A seat, if one is free. `frames_total` is how many frames there were.
    pub(super) fn take(&'static self, frames_total: u64) -> Option<Seat> {
        let mut taken = self.taken.lock();
        if taken.len() >= self.most {
            return None;
        }
        let held = Arc::new(Held(Mutex::new(State {
            asked_at: frames_total,
            is_lost: false,
            greeting: VecDeque::new(),
        })));
        taken.push(Arc::clone(&held));
        Some(Seat { seats: self, held })
    }

    /// Takes the seats, and what they hold, of those who have missed too many frames.
    pub(super) fn clear(&self, frames_total: u64) {
        let mut taken = self.taken.lock();
        taken.retain(|held| {
            let mut state = held.0.lock();
            let missed = frames_total.saturating_sub(state.asked_at);
            if missed < self.patience_frames {
                return true;
            }
            state.is_lost = true;
            state.greeting = VecDeque::new();
            false
        });
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().len()
    }
}

impl Seat {
    /// The reader asks for more; `false` if it has lost its seat.
    pub(super) fn asks(&self, frames_total: u64) -> bool {
        let mut state = self.held.0.lock();
        state.asked_at = frames_total;
        !state.is_lost
    }

    /// What is to be said first: shared pieces, not copies. Nothing to one that has lost its seat.
    pub(super) fn greet(&self, pieces: &[Bytes]) {
        let mut state = self.held.0.lock();
        if !state.is_lost {
            state.greeting = pieces.iter().cloned().collect();
        }
    }

    /// The next piece of the greeting.
    pub(super) fn piece(&self) -> Option<Bytes> {
        let mut state = self.held.0.lock();
        let piece = state.greeting.pop_front();
        if state.greeting.is_empty() {
            state.greeting = VecDeque::new();
        }
        piece
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        taken.retain(|held| !Arc::ptr_eq(held, &self.held));
    }
}
