//! Starts a fleet and waits until it is healthy; resizes one service by hand.

mod compose;
mod look;
mod resize;
mod start;
mod wait;

pub use resize::{Resized, resize};
pub use start::{Start, start, warn_of_host};
