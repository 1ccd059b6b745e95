//! WHEN: how close to the limit, as a level.

mod level;

pub(crate) use level::CurrentLevel;
pub use level::PressureLevel;
