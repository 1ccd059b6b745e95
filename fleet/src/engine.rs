//! Who has the containers: Docker, or plain cgroup directories.

mod actuator;
mod cgroups;
mod docker;
mod event;
mod failed;
mod host;
mod room;

pub use actuator::{Actuator, Container, EngineError, LeftOut, Usage, Way};
pub use cgroups::Cgroups;
pub(crate) use cgroups::field;
pub use docker::Docker;
pub(crate) use docker::positive;
pub use event::{Event, Happening, now_ns};
pub(crate) use host::{host_warning, is_too_small};
pub use room::least_limit_bytes;
