//! WHEN: how close to the limit, as a level.

mod change;
mod level;

pub use change::{PressureCause, PressureChange};
pub(crate) use level::CurrentLevel;
pub use level::PressureLevel;
