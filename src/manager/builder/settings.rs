//! [`Settings`]: what was said so far, and whether it makes sense. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::BuildError;
use crate::bytes::ByteSize;
use crate::manager::config::{Config, Reactions};
use crate::pressure::Lines;
use crate::usage::{LimitSetting, LimitSource};

/// Below, the callback itself would show; above, limits of some megabytes would be noticed late.
pub(in crate::manager) const METER_INTERVALS: RangeInclusive<ByteSize> =
    ByteSize::kib(16)..=ByteSize::mib(64);

/// What was said so far; `None` leaves it to the environment and the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::manager) struct Settings {
    pub(in crate::manager) limit: Option<LimitSetting>,
    pub(in crate::manager) elevated_percent: Option<f64>,
    pub(in crate::manager) max_memory_percent: Option<f64>,
    pub(in crate::manager) critical_percent: Option<f64>,
    pub(in crate::manager) burst_byte_seconds: Option<f64>,
    pub(in crate::manager) cleanup_threshold: Option<ByteSize>,
    pub(in crate::manager) cleanup_deadline: Option<Duration>,
    pub(in crate::manager) meter_interval: Option<ByteSize>,
    pub(in crate::manager) automatic_cleanup: Option<bool>,
    pub(in crate::manager) brake: Option<bool>,
    pub(in crate::manager) faster_decay: Option<bool>,
}

impl Settings {
    pub(in crate::manager) fn limit_from_environment(&mut self, size: ByteSize) {
        self.limit.get_or_insert(LimitSetting {
            bytes: size.as_u64(),
            source: LimitSource::Environment,
        });
    }
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

    pub(super) fn check(self) -> Result<Config, BuildError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::MemoryManager;

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
