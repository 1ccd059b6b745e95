//! Why a manager could not be built or installed.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::bytes::ByteSize;
use crate::manager::MemoryManager;

/// A setting that makes no sense.
///
/// ```
/// use plimsoll::{BuildError, ByteSize, MemoryManager};
///
/// let error = MemoryManager::builder().limit(ByteSize::bytes(0)).build().unwrap_err();
/// assert!(matches!(error, BuildError::ZeroLimit));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// A limit of 0.
    ZeroLimit,
    /// A line that is not above 0 and at most 100 percent.
    PercentOutOfRange {
        /// The value.
        percent: f64,
    },
    /// Lines of which one is not above the one before.
    LinesOutOfOrder {
        /// Where Elevated begins.
        elevated_percent: f64,
        /// Where High begins.
        max_memory_percent: f64,
        /// Where Critical begins.
        critical_percent: f64,
    },
    /// A threshold that can't be reached under the limit set beside it.
    ThresholdAboveLimit {
        /// The threshold.
        threshold: ByteSize,
        /// The limit.
        limit: ByteSize,
    },
    /// A deadline that is not between a millisecond and an hour.
    DeadlineOutOfRange {
        /// The value.
        deadline: Duration,
    },
    /// An interval of the meter that is not between 16 KiB and 64 MiB.
    MeterIntervalOutOfRange {
        /// The value.
        interval: ByteSize,
    },
    /// An environment variable that can't be read.
    Environment {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        accepted: &'static str,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::ZeroLimit => {
                f.write_str("a memory limit of 0 leaves no room to run; set one above 0, or none to use the cgroup's")
            }
            BuildError::PercentOutOfRange { percent } => write!(
                f,
                "a line is at {percent} percent, and must be above 0 and at most 100"
            ),
            BuildError::LinesOutOfOrder {
                elevated_percent,
                max_memory_percent,
                critical_percent,
            } => write!(
                f,
                "elevated_percent {elevated_percent} must be below max_memory_percent {max_memory_percent}, and that not above critical_percent {critical_percent}"
            ),
            BuildError::ThresholdAboveLimit { threshold, limit } => write!(
                f,
                "a cleanup threshold of {threshold} can't be reached under the limit of {limit}; set one below it"
            ),
            BuildError::DeadlineOutOfRange { deadline } => write!(
                f,
                "a cleanup deadline of {deadline:?} is not between 1 ms and 1 hour"
            ),
            BuildError::MeterIntervalOutOfRange { interval } => write!(
                f,
                "a meter interval of {interval} is not between 16 KiB and 64 MiB"
            ),
            BuildError::Environment {
                variable,
                value,
                accepted,
            } => write!(f, "{variable}={value:?} is not {accepted}"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Why a manager could not be installed.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstallError {
    /// It could not even be built.
    Build(BuildError),
    /// The process has one already.
    AlreadyInUse {
        /// The manager that was to be installed; it works, for whoever keeps it.
        manager: Box<MemoryManager>,
        /// The call that installed or first used the one of the process.
        first: &'static Location<'static>,
    },
}

impl From<BuildError> for InstallError {
    fn from(error: BuildError) -> Self {
        InstallError::Build(error)
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallError::Build(error) => error.fmt(f),
            InstallError::AlreadyInUse { first, .. } => write!(
                f,
                "the process has a memory manager since {first}; install yours before that"
            ),
        }
    }
}

impl std::error::Error for InstallError {}
