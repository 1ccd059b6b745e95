//! [`Report`]: the one line in which the service says how it went.

use serde::{Deserialize, Serialize};

use crate::Variant;

/// How it went. What does not apply, or could not be measured, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What kind of load; the default stands for none.
    pub variant: Option<Variant>,
    /// Whether the service had installed a manager.
    pub managed: bool,
    /// How long the load lasted.
    pub seconds: f64,
    /// The limit for which the load was made.
    pub limit_mib: u64,
    /// The bound of the cache, if it had one of its own.
    pub cache_mib: Option<u64>,
    /// What all events together would take in the cache.
    pub working_set_bytes: u64,
    /// Requests that clients made.
    pub offered: u64,
    /// Requests that were served.
    pub accepted: u64,
    /// Requests that were refused, with an answer that says so.
    pub refused: u64,
    /// Refused, as a percentage of offered.
    pub refused_percent: f64,
    /// Accepted per second.
    pub goodput_per_s: f64,
    /// Accepted, and the event was in the cache.
    pub hits: u64,
    /// Events that went into the cache.
    pub inserted: u64,
    /// Events that were thrown out of it.
    pub evicted: u64,
    /// The most of the limit that was seen in use: with a manager what it says, else RSS of the limit for which the load was
    /// made.
    pub peak_percent: Option<f64>,
    /// How often each level was seen, Normal first; with a manager.
    pub samples_by_level: Option<[u64; 4]>,
    /// What the brake did; `None` without a manager or without a brake.
    pub brake: Option<Brake>,
    /// Cleanups that ran.
    pub cleanups: Option<u64>,
    /// From the end of the load until the level was Normal; `None` if it never was, or without a manager.
    pub recovery_ms: Option<u64>,
    /// Latency of all accepted requests.
    pub latency: Latency,
    /// Of those during which a hook ran.
    pub latency_in_cleanup: Latency,
    /// Of the others.
    pub latency_outside: Latency,
    /// From crossing the Elevated line to the first byte that the hook gave back.
    pub reclaim: Option<Reclaim>,
    /// What became of the leak.
    pub leak: Option<Leak>,
    /// How much the reader of the hot file read.
    pub file_read_bytes: Option<u64>,
    /// Sums that do not come out; empty when every event is accounted for.
    pub broken: Vec<String>,
}

/// What the brake did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Brake {
    /// How many pauses.
    pub pauses_total: u64,
    /// All pauses together.
    pub paused_ms_total: u64,
    /// The longest.
    pub worst_pause_us: u64,
    /// Pauses that ended because their time was up.
    pub at_bound_total: u64,
}

/// Quantiles of durations, to 3 percent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half took no longer; `None` without any.
    pub p50_us: Option<f64>,
    /// Of a hundred 99 took no longer.
    pub p99_us: Option<f64>,
}

/// Delays from crossing the Elevated line to the first eviction: at most, since each is counted from the last sample below the
/// line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reclaim {
    /// The delays.
    pub at_most: Latency,
    /// How far apart samples were meant to be: so much too high can they be.
    pub sample_ms: u64,
}

/// What became of the leak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// The name in the errors.
    pub name: String,
    /// The limit of its scope.
    pub limit_bytes: u64,
    /// How often it was refused at its limit.
    pub refused: u64,
    /// The most that an error said it held.
    pub peak_bytes: u64,
    /// How often it passed its limit, by the manager's list of scopes; `None` if it is not on the list.
    pub exceeded_total: Option<u64>,
}
