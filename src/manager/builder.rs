//! [`MemoryManagerBuilder`]: settings, checked once.

use std::fmt;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

use crate::bytes::ByteSize;
use crate::explain::{Finding, Severity};
use crate::manager::MemoryManager;
use crate::manager::config::{Config, Reactions};
use crate::manager::shared::Shared;
use crate::manager::{environment, global};
use crate::pressure::Lines;
use crate::usage::{Gauge, LimitSetting, LimitSource};

/// Below, the callback itself would show; above, limits of some megabytes would be noticed late.
pub(super) const METER_INTERVALS: RangeInclusive<ByteSize> = ByteSize::kib(16)..=ByteSize::mib(64);

/// Builds a [`MemoryManager`]. What is not set here comes from the [environment](crate::ENVIRONMENT), and else from the
/// defaults.
///
/// ```
/// use plimsoll::{ByteSize, MemoryManager};
///
/// let manager = MemoryManager::builder()
///     .limit(ByteSize::gib(1))
///     .max_memory_percent(75.0)
///     .cleanup_threshold(ByteSize::mib(50))
///     .build()?;
/// # Ok::<(), plimsoll::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing happens until `build` or `install`"]
pub struct MemoryManagerBuilder {
    settings: Settings,
}

/// What was said so far; `None` leaves it to the environment and the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) limit: Option<LimitSetting>,
    pub(super) elevated_percent: Option<f64>,
    pub(super) max_memory_percent: Option<f64>,
    pub(super) critical_percent: Option<f64>,
    pub(super) burst_byte_seconds: Option<f64>,
    pub(super) cleanup_threshold: Option<ByteSize>,
    pub(super) cleanup_deadline: Option<Duration>,
    pub(super) meter_interval: Option<ByteSize>,
    pub(super) automatic_cleanup: Option<bool>,
    pub(super) brake: Option<bool>,
    pub(super) faster_decay: Option<bool>,
}

impl Settings {
    pub(super) fn limit_from_environment(&mut self, size: ByteSize) {
        self.limit.get_or_insert(LimitSetting {
            bytes: size.as_u64(),
            source: LimitSource::Environment,
        });
    }
}

impl MemoryManagerBuilder {
    pub(super) fn new() -> Self {
        MemoryManagerBuilder::default()
    }

    /// How much this process may use. A cgroup's limit still holds beside it: the level with the least headroom binds.
    /// Defaults to `PLIMSOLL_MEMORY_LIMIT`, else to the cgroup's limit, else to host memory.
    ///
    /// A limit above host memory counts as host memory, and is a finding.
    ///
    /// # Errors
    /// `build` refuses 0.
    pub fn limit(mut self, limit: ByteSize) -> Self {
        self.settings.limit = Some(LimitSetting {
            bytes: limit.as_u64(),
            source: LimitSource::Builder,
        });
        self
    }

    /// The High line in percent of the limit: above it reservations are refused, threads that allocate are
    /// [braked](Self::brake), and [`check_and_cleanup`](MemoryManager::check_and_cleanup) cleans up.
    /// Defaults to `PLIMSOLL_MAX_MEMORY_PERCENT`, else to 80.
    ///
    /// # Errors
    /// `build` refuses what is not above 0 and at most 100.
    pub fn max_memory_percent(mut self, percent: f64) -> Self {
        self.settings.max_memory_percent = Some(percent);
        self
    }

    /// The Elevated line in percent of the limit: above it the manager [cleans up by itself](Self::automatic_cleanup).
    /// Defaults to `PLIMSOLL_ELEVATED_PERCENT`, else to seven eighths of the High line: 70 for 80.
    ///
    /// # Errors
    /// `build` refuses what is not above 0 and below the High line.
    pub fn elevated_percent(mut self, percent: f64) -> Self {
        self.settings.elevated_percent = Some(percent);
        self
    }

    /// The Critical line in percent of the limit: above it the kernel is about to kill.
    /// Defaults to `PLIMSOLL_CRITICAL_PERCENT`, else to the middle between the High line and 100: 90 for 80.
    ///
    /// # Errors
    /// `build` refuses what is below the High line or above 100.
    pub fn critical_percent(mut self, percent: f64) -> Self {
        self.settings.critical_percent = Some(percent);
        self
    }

    /// Short peaks: usage may be `size` above the Elevated line for as long as `time`, or half as much for twice as long, before
    /// the level rises. Never above the Critical line; cleanups and the brake follow usage and not the level, and do not wait.
    /// Paid back in 30 s below the line. Defaults to nothing: the level rises at once.
    pub fn burst(mut self, size: ByteSize, time: Duration) -> Self {
        self.settings.burst_byte_seconds = Some(size.as_u64() as f64 * time.as_secs_f64());
        self
    }

    /// Whether the manager cleans up by itself from the Elevated line on: hooks first, down to the level below, then the
    /// allocator's unused pages. Defaults to `PLIMSOLL_AUTOMATIC_CLEANUP`, else to yes.
    pub fn automatic_cleanup(mut self, on: bool) -> Self {
        self.settings.automatic_cleanup = Some(on);
        self
    }

    /// Whether a thread that allocates above the High line waits for the cleanup, for at most 50 ms each time. Linux, with
    /// jemalloc, and the installed manager. Defaults to `PLIMSOLL_BRAKE`, else to yes.
    ///
    /// A thread may hold a lock while it waits; its time is short for that reason. Without the brake a program that fills memory
    /// at gigabytes per second is killed before any cleanup runs.
    pub fn brake(mut self, on: bool) -> Self {
        self.settings.brake = Some(on);
        self
    }

    /// Whether the allocator gives unused pages back sooner once pressure has lasted for 5 s, until it is over.
    /// Defaults to `PLIMSOLL_FASTER_DECAY`, else to yes.
    pub fn faster_decay(mut self, on: bool) -> Self {
        self.settings.faster_decay = Some(on);
        self
    }

    /// The growth of RSS since the last cleanup after which the next is due. Defaults to `PLIMSOLL_CLEANUP_THRESHOLD`, else
    /// to 100 MiB; in a smaller container that is never reached, and the High line alone decides.
    ///
    /// # Errors
    /// `build` refuses a threshold above a limit that was set beside it.
    pub fn cleanup_threshold(mut self, growth: ByteSize) -> Self {
        self.settings.cleanup_threshold = Some(growth);
        self
    }

    /// How long a cleanup, and whoever waits for it, may take; each hook gets a quarter. Defaults to
    /// `PLIMSOLL_CLEANUP_DEADLINE_MS`, else to 4 seconds.
    ///
    /// # Errors
    /// `build` refuses less than a millisecond and more than an hour.
    pub fn cleanup_deadline(mut self, deadline: Duration) -> Self {
        self.settings.cleanup_deadline = Some(deadline);
        self
    }

    /// How often the meter looks: about every so many bytes that a thread allocates. Smaller notices limits earlier and costs more
    /// per allocation. Defaults to `PLIMSOLL_METER_INTERVAL`, else to 256 KiB.
    ///
    /// jemalloc takes the callback once per process and at one interval: it has to be set before the first scope of the process, or
    /// by the variable. Otherwise the first interval stays, and a finding says so.
    ///
    /// # Errors
    /// `build` refuses less than 16 KiB and more than 64 MiB.
    pub fn meter_interval(mut self, interval: ByteSize) -> Self {
        self.settings.meter_interval = Some(interval);
        self
    }

    /// Builds a manager and starts its threads.
    ///
    /// # Errors
    /// A setting, or an environment variable, that makes no sense: names it and what is accepted.
    pub fn build(mut self) -> Result<MemoryManager, BuildError> {
        match environment::fill(&mut self.settings).into_iter().next() {
            Some(error) => Err(error),
            None => Ok(open(self.settings.check()?)),
        }
    }

    /// Builds a manager and makes it the one of the process, which [`get_memory_manager`](crate::get_memory_manager) returns.
    ///
    /// ```
    /// use plimsoll::{ByteSize, MemoryManager, get_memory_manager};
    ///
    /// let manager = MemoryManager::builder().limit(ByteSize::mib(512)).install()?;
    /// assert!(std::ptr::eq(manager, get_memory_manager()));
    /// # Ok::<(), plimsoll::InstallError>(())
    /// ```
    ///
    /// # Errors
    /// Like `build`; or the process has one already, installed earlier or made by the first use. Then the error gives the
    /// new manager back and names the place that was first.
    #[track_caller]
    pub fn install(self) -> Result<&'static MemoryManager, InstallError> {
        global::install(self.build()?, Location::caller())
    }

    /// Never fails: what is wrong with the environment becomes a finding, and a default takes its place.
    pub(super) fn build_whatever_it_takes(mut self) -> MemoryManager {
        let mut errors = environment::fill(&mut self.settings);
        let config = self.settings.clone().check().or_else(|error| {
            // Each variable is good by itself, or it would not be here. Of those that can contradict each other the limit and the
            // High line are worth more.
            errors.push(error);
            self.settings.cleanup_threshold = None;
            self.settings.elevated_percent = None;
            self.settings.critical_percent = None;
            self.settings.check()
        });
        let mut config = config.unwrap_or(Config::DEFAULT);
        config
            .findings
            .extend(errors.iter().map(environment_finding));
        open(config)
    }
}

fn environment_finding(error: &BuildError) -> Finding {
    Finding::new(
        "environment-ignored",
        Severity::Error,
        error.to_string(),
        "the default is in force instead; correct the variable and restart",
    )
}

impl Settings {
    fn lines(&self) -> Result<Lines, BuildError> {
        let said = [
            self.elevated_percent,
            self.max_memory_percent,
            self.critical_percent,
        ];
        for percent in said.into_iter().flatten() {
            if !(percent > 0.0 && percent <= 100.0) {
                return Err(BuildError::PercentOutOfRange { percent });
            }
        }
        let high_percent = self
            .max_memory_percent
            .unwrap_or(Lines::DEFAULT.high_percent);
        let around = Lines::around(high_percent);
        let lines = Lines {
            elevated_percent: self.elevated_percent.unwrap_or(around.elevated_percent),
            critical_percent: self.critical_percent.unwrap_or(around.critical_percent),
            ..around
        };
        if !lines.are_in_order() {
            return Err(BuildError::LinesOutOfOrder {
                elevated_percent: lines.elevated_percent,
                max_memory_percent: lines.high_percent,
                critical_percent: lines.critical_percent,
            });
        }
        Ok(lines)
    }

    fn check(self) -> Result<Config, BuildError> {
        let default = Config::DEFAULT;
        let lines = self.lines()?;
        let deadline = self.cleanup_deadline.unwrap_or(default.cleanup_deadline);
        if !(Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&deadline) {
            return Err(BuildError::DeadlineOutOfRange { deadline });
        }
        let interval_bytes = match self.meter_interval {
            Some(interval) if METER_INTERVALS.contains(&interval) => interval.as_u64(),
            Some(interval) => return Err(BuildError::MeterIntervalOutOfRange { interval }),
            None => default.meter_interval_bytes,
        };
        if let Some(limit) = self.limit {
            if limit.bytes == 0 {
                return Err(BuildError::ZeroLimit);
            }
            if let Some(threshold) = self.cleanup_threshold.filter(|t| t.as_u64() > limit.bytes) {
                return Err(BuildError::ThresholdAboveLimit {
                    threshold,
                    limit: ByteSize::bytes(limit.bytes),
                });
            }
        }
        Ok(Config {
            limit: self.limit,
            lines,
            burst_byte_seconds: self
                .burst_byte_seconds
                .unwrap_or(default.burst_byte_seconds),
            cleanup_threshold_bytes: self
                .cleanup_threshold
                .map_or(default.cleanup_threshold_bytes, ByteSize::as_u64),
            cleanup_deadline: deadline,
            meter_interval_bytes: interval_bytes,
            reactions: Reactions {
                cleanup: self.automatic_cleanup.unwrap_or(default.reactions.cleanup),
                brake: self.brake.unwrap_or(default.reactions.brake),
                faster_decay: self.faster_decay.unwrap_or(default.reactions.faster_decay),
            },
            findings: Vec::new(),
        })
    }
}

fn open(mut config: Config) -> MemoryManager {
    let gauge = Gauge::open(Path::new("/"), config.limit);
    if let (Some(limit), Some(host)) = (config.limit, gauge.host_total_bytes())
        && limit.bytes > host
    {
        config.findings.push(Finding::new(
            "limit-clamped",
            Severity::Warning,
            format!(
                "the limit of {} ({}) is above host memory",
                ByteSize::bytes(limit.bytes),
                limit.source
            ),
            format!(
                "{} counts instead; set a limit below that",
                ByteSize::bytes(host)
            ),
        ));
    }
    MemoryManager {
        shared: Shared::start(config, gauge),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_guides() {
        let config = Settings::default().check().unwrap();
        assert_eq!(config.limit, None);
        assert_eq!(config.lines.high_percent, 80.0);
        assert_eq!(config.cleanup_threshold_bytes, 100 * 1024 * 1024);
    }

    #[test]
    fn nonsense_is_refused_with_its_value() {
        let builder = MemoryManager::builder;
        let table = [
            (builder().limit(ByteSize::bytes(0)), "limit of 0"),
            (builder().max_memory_percent(f64::NAN), "NaN"),
            (builder().max_memory_percent(0.0), "at 0 percent"),
            (builder().max_memory_percent(-1.0), "at -1 percent"),
            (builder().max_memory_percent(100.5), "100.5"),
            (builder().max_memory_percent(f64::INFINITY), "inf"),
            (builder().elevated_percent(0.0), "at 0 percent"),
            (builder().critical_percent(101.0), "at 101 percent"),
            (
                builder().elevated_percent(80.0),
                "elevated_percent 80 must be below max_memory_percent 80",
            ),
            (
                builder().elevated_percent(60.0).max_memory_percent(50.0),
                "60 must be below max_memory_percent 50",
            ),
            (
                builder().critical_percent(79.0),
                "80, and that not above critical_percent 79",
            ),
            (builder().cleanup_deadline(Duration::ZERO), "0ns"),
            (
                builder().cleanup_deadline(Duration::MAX),
                "s is not between",
            ),
            (builder().meter_interval(ByteSize::kib(15)), "15.0 KiB"),
            (builder().meter_interval(ByteSize::mib(65)), "65.0 MiB"),
            (
                builder()
                    .limit(ByteSize::mib(64))
                    .cleanup_threshold(ByteSize::mib(65)),
                "65.0 MiB can't be reached under the limit of 64.0 MiB",
            ),
        ];
        for (builder, part) in table {
            let error = builder.settings.check().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_edges_are_accepted() {
        let builder = MemoryManager::builder()
            .limit(ByteSize::bytes(1))
            .cleanup_threshold(ByteSize::bytes(1))
            .max_memory_percent(100.0)
            .cleanup_deadline(Duration::from_millis(1));
        assert!(builder.settings.check().is_ok());
    }
}
