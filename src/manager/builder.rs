//! [`MemoryManagerBuilder`]: settings, checked once.

mod error;
mod settings;

use std::panic::Location;
use std::path::Path;
use std::time::Duration;

pub use error::{BuildError, InstallError};
pub(super) use settings::{METER_INTERVALS, Settings};

use crate::bytes::ByteSize;
use crate::explain::{Finding, Severity};
use crate::manager::MemoryManager;
use crate::manager::config::Config;
use crate::manager::shared::Shared;
use crate::manager::{environment, global};
use crate::usage::{Gauge, LimitSetting, LimitSource};

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
    /// jemalloc, and the installed manager, as long as it [cleans up by itself](Self::automatic_cleanup). Defaults to
    /// `PLIMSOLL_BRAKE`, else to yes.
    ///
    /// A thread may hold a lock while it waits; its time is short for that reason. Without the brake a program that fills memory
    /// at gigabytes per second is killed before any cleanup runs.
    pub fn brake(mut self, on: bool) -> Self {
        self.settings.brake = Some(on);
        self
    }

    /// Whether the allocator gives unused pages back sooner once pressure has lasted for 5 s, until it is over. Not while
    /// cleanups have to give back pages that the program is working with, and for some 20 s after that.
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
