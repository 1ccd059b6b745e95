//! [`Observation`]: what is known of a service at one moment.

use serde::{Deserialize, Serialize};

/// What is known of a service at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Seconds since the epoch; may jump.
    pub at_s: u64,
    /// What counts: charge less file cache that the kernel takes back (docker's own formula: usage - inactive_file).
    pub used_bytes: u64,
    /// What the service's hooks say they could free; `None`: it has no metrics, or they did not come.
    pub reclaimable_bytes: Option<u64>,
    pub limit_bytes: u64,
}
