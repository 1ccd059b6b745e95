//! [`Policy`]: how one service is scaled.

use serde::{Deserialize, Serialize};

/// How one service is scaled. The first six are the guide's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub strategy: Strategy,
    pub min_bytes: u64,
    pub max_bytes: u64,
    /// Grow above so many percent of the limit (`Strategy::Guide`).
    pub up_percent: f64,
    /// Shrink below so many percent of the limit (`Strategy::Guide`).
    pub down_percent: f64,
    /// By how much (`Strategy::Guide`).
    pub factor: f64,
    /// After a change nothing changes for so long, a kill excepted; `Strategy::Vpa` and `Strategy::Floor` wait only to shrink.
    pub cooldown_s: u64,
    /// Who waits when the host's budget is short: the lower number does.
    pub priority: i32,
    /// The one setting along the front between kills and slack; see `plimsoll simulate`.
    pub caution: f64,
}

/// What decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The limit stays as it is.
    Fixed,
    /// Thresholds and a factor, as in the guide.
    Guide,
    /// As Kubernetes' recommender: a percentile of a decaying histogram, and a margin.
    Vpa,
    /// Ours: the floor, learned peaks, safe steps.
    #[default]
    Floor,
}
