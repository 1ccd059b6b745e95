//! The fleet, live, in the terminal.

mod column;
mod fleet;
mod gather;
mod plain;
mod run;
mod screen;

pub use run::{live, once};
pub use screen::{Screen, View};
