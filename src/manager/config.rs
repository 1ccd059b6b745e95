//! What a manager was told, after all checks.

use std::time::Duration;

use crate::cleanup::Lines;
use crate::explain::Finding;
use crate::meter::DEFAULT_INTERVAL_BYTES;
use crate::usage::LimitSetting;

#[derive(Debug)]
pub(super) struct Config {
    pub(super) limit: Option<LimitSetting>,
    pub(super) lines: Lines,
    pub(super) cleanup_deadline: Duration,
    pub(super) meter_interval_bytes: u64,
    /// What was wrong with the configuration and could be lived with.
    pub(super) findings: Vec<Finding>,
}

impl Config {
    /// The guide's figures; the deadline is ours.
    pub(super) const DEFAULT: Config = Config {
        limit: None,
        lines: Lines {
            max_memory_percent: 80.0,
            cleanup_threshold_bytes: 100 << 20,
        },
        cleanup_deadline: Duration::from_secs(4),
        meter_interval_bytes: DEFAULT_INTERVAL_BYTES,
        findings: Vec::new(),
    };
}
