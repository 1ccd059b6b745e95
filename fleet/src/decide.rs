//! When a service's limit changes, and to what: pure.

mod bump;
mod choose;
mod floor;
mod guide;
mod histogram;
mod history;
mod learned;
mod observation;
mod share;
mod verdict;
mod vpa;
mod wish;

pub use bump::bumped_bytes;
pub use choose::decide;
pub use history::{HIGH_RATIOS, History};
pub use observation::Observation;
pub use share::{Wanted, share};
pub use verdict::{Action, Alert, Verdict};
