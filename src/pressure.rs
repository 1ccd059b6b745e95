//! WHEN: how close to the limit, as a level, and who is told when it changes.
//!
//! ```text
//!  readings -> Classifier (Lines, Forecast, Burst) -> worker
//!  worker -- set --> Watch --+-- wakes --> PressureChanged, WaitingForCapacity: futures, each with a place among the wakers
//!                            +-- wakes --> subscriber's thread --> its callback
//! ```
//!
//! Whoever listens remembers the level that it was told last, and the watch knows the latest change: so who is slow is told
//! once, from the one to the other, and nothing queues up for anybody.

mod burst;
mod capacity;
mod change;
mod changed;
mod classify;
mod forecast;
mod level;
mod lines;
mod pace;
mod subscriber;
mod wakers;
mod watch;

pub use capacity::{NoCapacity, WaitingForCapacity};
pub use change::{PressureCause, PressureChange};
pub use changed::{ManagerGone, PressureChanged};
pub(crate) use classify::Classifier;
use level::CurrentLevel;
pub use level::PressureLevel;
pub(crate) use lines::Lines;
pub(crate) use pace::Pace;
pub use subscriber::PressureSubscription;
pub(crate) use subscriber::Subscribers;
pub(crate) use watch::Watch;

#[cfg(test)]
mod tests;
