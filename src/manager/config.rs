//! What a manager was told, after all checks.

use std::time::Duration;

use crate::explain::Finding;
use crate::meter::DEFAULT_INTERVAL_BYTES;
use crate::pressure::Lines;
use crate::usage::LimitSetting;

#[derive(Debug)]
pub(super) struct Config {
    pub(super) limit: Option<LimitSetting>,
    pub(super) lines: Lines,
    /// Above the Elevated line so much is allowed for a while.
    pub(super) burst_byte_seconds: f64,
    pub(super) cleanup_threshold_bytes: u64,
    pub(super) cleanup_deadline: Duration,
    pub(super) meter_interval_bytes: u64,
    pub(super) reactions: Reactions,
    /// What was wrong with the configuration and could be lived with.
    pub(super) findings: Vec<Finding>,
}

/// What the manager does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reactions {
    /// Clean up from the Elevated line on.
    pub(super) cleanup: bool,
    /// Brake threads that allocate above the High line.
    pub(super) brake: bool,
    /// Have the allocator give pages back sooner while pressure lasts.
    pub(super) faster_decay: bool,
}

impl Config {
    /// The guide's figures, where it has any.
    pub(super) const DEFAULT: Config = Config {
        limit: None,
        lines: Lines::DEFAULT,
        burst_byte_seconds: 0.0,
        cleanup_threshold_bytes: 100 << 20,
        cleanup_deadline: Duration::from_secs(4),
        meter_interval_bytes: DEFAULT_INTERVAL_BYTES,
        reactions: Reactions {
            cleanup: true,
            brake: true,
            faster_decay: true,
        },
        findings: Vec::new(),
    };
}
