//! WHEN: how close to the limit, as a level.

mod burst;
mod change;
mod classify;
mod forecast;
mod level;
mod lines;
mod pace;

pub use change::{PressureCause, PressureChange};
pub(crate) use classify::Classifier;
pub(crate) use level::CurrentLevel;
pub use level::PressureLevel;
pub(crate) use lines::Lines;
pub(crate) use pace::Pace;
