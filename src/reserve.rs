//! WHETHER: a reservation is asked for before memory is allocated, and refused or made to wait while that is still cheap.
//!
//! ```text
//!             room, nobody waits            no room (a fresh reading says so)
//!  request ----------------------> granted  ----------------------> refused, or last in the queue
//!                                     ^                                          |
//!                                     +--- first in the queue, and room now -----+
//! ```
//!
//! Room is headroom minus what is outstanding minus what those who wait already have asked for. The queue is looked at
//! when a reservation gives something back, and whenever the worker has looked.

mod decision;
mod error;
mod pool;
mod queue;
mod reservation;
mod reserving;
mod waiter;

pub use error::ReserveError;
pub(crate) use pool::{Pool, Source};
pub use reservation::Reservation;
pub use reserving::Reserving;

#[cfg(test)]
mod tests;
