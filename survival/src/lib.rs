//! What the two programs of the overload proof share: the variants of the load, the report in which the service tells its
//! driver how it went, and how both read their command lines.
//!
//! `overload` is a service under more load than fits, managed by plimsoll or not. `survive` runs it in memory cgroups of its
//! own, both ways, and asserts that the kernel kills the unmanaged twin and that the managed one stays.

mod flags;
mod report;
mod variant;

pub use flags::Flags;
pub use report::{Brake, Latency, Leak, Reclaim, Report};
pub use variant::{UnknownVariant, Variant};
