//! Who has the containers: Docker, or plain cgroup directories.
//!
//! Owner: the helper for engines and the scaler.

mod actuator;

pub use actuator::{Actuator, Container, EngineError, Usage};
