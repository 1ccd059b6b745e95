//! The environment variables, declared once: what they mean, what they accept, and how they are read.

use std::env;
use std::time::Duration;

use crate::bytes::{ByteSize, ParseByteSizeError};
use crate::manager::builder::{BuildError, METER_INTERVALS, Settings};
use crate::meter::DEFAULT_INTERVAL_BYTES;

/// A variable that configures a manager that was not configured in code.
#[derive(Debug)]
#[non_exhaustive]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    /// What it accepts.
    pub accepts: &'static str,
    /// What holds without it.
    pub default: &'static str,
    read: fn(&str, &mut Settings) -> Option<()>,
}

/// All variables that the library reads. A setting in code wins over its variable; an empty variable counts as not set.
///
/// | variable | meaning | accepts | without it |
/// |---|---|---|---|
/// | `PLIMSOLL_MEMORY_LIMIT` | how much this process may use | a size such as 512MiB, 1.5g or 100000 (k, m, g, t are powers of 1024) | the cgroup's limit, else host memory |
/// | `PLIMSOLL_MAX_MEMORY_PERCENT` | the High line, in percent of the limit | a number above 0 and at most 100 | 80 |
/// | `PLIMSOLL_ELEVATED_PERCENT` | the Elevated line, in percent of the limit | a number above 0 and at most 100 | seven eighths of the High line |
/// | `PLIMSOLL_CRITICAL_PERCENT` | the Critical line, in percent of the limit | a number above 0 and at most 100 | between the High line and 100 |
/// | `PLIMSOLL_CLEANUP_THRESHOLD` | growth of RSS after which a cleanup is due | a size such as 512MiB, 1.5g or 100000 (k, m, g, t are powers of 1024) | 100MiB |
/// | `PLIMSOLL_CLEANUP_DEADLINE_MS` | how long a cleanup may take, each hook a quarter of it | whole milliseconds from 1 to 3600000 | 4000 |
/// | `PLIMSOLL_METER_INTERVAL` | about every so many bytes that a thread allocates its scopes are judged | a size from 16KiB to 64MiB | 256KiB |
/// | `PLIMSOLL_AUTOMATIC_CLEANUP` | whether the manager cleans up by itself from the Elevated line on | on or off | on |
/// | `PLIMSOLL_BRAKE` | whether threads that allocate above the High line wait for the cleanup | on or off | on |
/// | `PLIMSOLL_FASTER_DECAY` | whether the allocator gives pages back sooner while pressure lasts | on or off | on |
///
/// ```
/// for variable in plimsoll::ENVIRONMENT {
///     println!("{}: {} ({})", variable.name, variable.meaning, variable.accepts);
/// }
/// ```
pub const ENVIRONMENT: &[EnvironmentVariable] = &[
    EnvironmentVariable {
        name: "PLIMSOLL_MEMORY_LIMIT",
        meaning: "how much this process may use",
        accepts: ParseByteSizeError::ACCEPTED,
        default: "the cgroup's limit, else host memory",
        read: |text, settings| {
            let size = text.parse::<ByteSize>().ok()?;
            (size.as_u64() > 0).then(|| settings.limit_from_environment(size))
        },
    },
    EnvironmentVariable {
        name: "PLIMSOLL_MAX_MEMORY_PERCENT",
        meaning: "the High line, in percent of the limit",
        accepts: ACCEPTED_PERCENT,
        default: "80",
        read: |text, settings| fill_percent(text, &mut settings.max_memory_percent),
    },
    EnvironmentVariable {
        name: "PLIMSOLL_ELEVATED_PERCENT",
        meaning: "the Elevated line, in percent of the limit",
        accepts: ACCEPTED_PERCENT,
        default: "seven eighths of the High line",
        read: |text, settings| fill_percent(text, &mut settings.elevated_percent),
    },
    EnvironmentVariable {
        name: "PLIMSOLL_CRITICAL_PERCENT",
        meaning: "the Critical line, in percent of the limit",
        accepts: ACCEPTED_PERCENT,
        default: "between the High line and 100",
        read: |text, settings| fill_percent(text, &mut settings.critical_percent),
    },
    EnvironmentVariable {
        name: "PLIMSOLL_CLEANUP_THRESHOLD",
        meaning: "growth of RSS after which a cleanup is due",
        accepts: ParseByteSizeError::ACCEPTED,
        default: "100MiB",
        read: |text, settings| {
            let size = text.parse::<ByteSize>().ok()?;
            settings.cleanup_threshold.get_or_insert(size);
            Some(())
        },
    },
    EnvironmentVariable {
        name: "PLIMSOLL_CLEANUP_DEADLINE_MS",
        meaning: "how long a cleanup may take, each hook a quarter of it",
        accepts: "whole milliseconds from 1 to 3600000",
        default: "4000",
        read: |text, settings| {
            let ms = text
                .parse()
                .ok()
                .filter(|ms| (1..=3_600_000).contains(ms))?;
            settings
                .cleanup_deadline
                .get_or_insert(Duration::from_millis(ms));
            Some(())
        },
    },
    EnvironmentVariable {
        name: METER_INTERVAL,
        meaning: "about every so many bytes that a thread allocates its scopes are judged",
        accepts: "a size from 16KiB to 64MiB",
        default: "256KiB",
        read: |text, settings| {
            settings
                .meter_interval
                .get_or_insert(parse_meter_interval(text)?);
            Some(())
        },
    },
    EnvironmentVariable {
        name: "PLIMSOLL_AUTOMATIC_CLEANUP",
        meaning: "whether the manager cleans up by itself from the Elevated line on",
        accepts: ACCEPTED_SWITCH,
        default: "on",
        read: |text, settings| fill_switch(text, &mut settings.automatic_cleanup),
    },
    EnvironmentVariable {
        name: "PLIMSOLL_BRAKE",
        meaning: "whether threads that allocate above the High line wait for the cleanup",
        accepts: ACCEPTED_SWITCH,
        default: "on",
        read: |text, settings| fill_switch(text, &mut settings.brake),
    },
    EnvironmentVariable {
        name: "PLIMSOLL_FASTER_DECAY",
        meaning: "whether the allocator gives pages back sooner while pressure lasts",
        accepts: ACCEPTED_SWITCH,
        default: "on",
        read: |text, settings| fill_switch(text, &mut settings.faster_decay),
    },
];

const ACCEPTED_PERCENT: &str = "a number above 0 and at most 100";
const ACCEPTED_SWITCH: &str = "on or off";

fn fill_percent(text: &str, setting: &mut Option<f64>) -> Option<()> {
    let percent = text.parse().ok()?;
    (percent > 0.0 && percent <= 100.0).then(|| {
        setting.get_or_insert(percent);
    })
}

fn fill_switch(text: &str, setting: &mut Option<bool>) -> Option<()> {
    let on = match text {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    setting.get_or_insert(on);
    Some(())
}

const METER_INTERVAL: &str = "PLIMSOLL_METER_INTERVAL";

fn parse_meter_interval(text: &str) -> Option<ByteSize> {
    let interval = text.parse().ok()?;
    METER_INTERVALS.contains(&interval).then_some(interval)
}

/// What holds for a process whose first scope comes before any manager. A value that makes no sense becomes a finding of the manager
/// that follows.
pub(super) fn meter_interval_bytes() -> u64 {
    env::var(METER_INTERVAL)
        .ok()
        .and_then(|text| parse_meter_interval(text.trim()))
        .map_or(DEFAULT_INTERVAL_BYTES, ByteSize::as_u64)
}

/// Fills what `settings` leaves open from the environment, and returns what could not be read.
pub(super) fn fill(settings: &mut Settings) -> Vec<BuildError> {
    fill_from(settings, |name| {
        env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    })
}

fn fill_from(settings: &mut Settings, get: impl Fn(&str) -> Option<String>) -> Vec<BuildError> {
    let mut errors = Vec::new();
    for variable in ENVIRONMENT {
        let Some(value) = get(variable.name) else {
            continue;
        };
        let text = value.trim();
        if !text.is_empty() && (variable.read)(text, settings).is_none() {
            errors.push(BuildError::Environment {
                variable: variable.name,
                value,
                accepted: variable.accepts,
            });
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_with(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let mut settings = Settings::default();
        let errors = fill_from(&mut settings, |name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        });
        (settings, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn good_values_are_taken() {
        let (settings, errors) = fill_with(&[
            ("PLIMSOLL_MEMORY_LIMIT", "512m"),
            ("PLIMSOLL_MAX_MEMORY_PERCENT", " 75.5 "),
            ("PLIMSOLL_CLEANUP_THRESHOLD", "50MiB"),
            ("PLIMSOLL_CLEANUP_DEADLINE_MS", "250"),
            ("PLIMSOLL_METER_INTERVAL", "1m"),
            ("PLIMSOLL_ELEVATED_PERCENT", "60"),
            ("PLIMSOLL_CRITICAL_PERCENT", "90.5"),
            ("PLIMSOLL_AUTOMATIC_CLEANUP", "on"),
            ("PLIMSOLL_BRAKE", "off"),
            ("PLIMSOLL_FASTER_DECAY", "off"),
        ]);
        assert_eq!(errors, [""; 0]);
        assert_eq!(settings.limit.unwrap().bytes, 512 << 20);
        assert_eq!(settings.max_memory_percent, Some(75.5));
        assert_eq!(settings.cleanup_threshold, Some(ByteSize::mib(50)));
        assert_eq!(settings.cleanup_deadline, Some(Duration::from_millis(250)));
        assert_eq!(settings.meter_interval, Some(ByteSize::mib(1)));
        assert_eq!(settings.elevated_percent, Some(60.0));
        assert_eq!(settings.critical_percent, Some(90.5));
        let switches = [
            settings.automatic_cleanup,
            settings.brake,
            settings.faster_decay,
        ];
        assert_eq!(switches, [Some(true), Some(false), Some(false)]);
    }

    #[test]
    fn a_bad_value_is_named_with_what_is_accepted_and_sets_nothing() {
        let table = [
            (
                "PLIMSOLL_MEMORY_LIMIT",
                &["0", "51x2m", "-1", "1e400", "unlimited"][..],
            ),
            (
                "PLIMSOLL_MAX_MEMORY_PERCENT",
                &["NaN", "0", "-5", "100.1", "inf", "eighty"],
            ),
            ("PLIMSOLL_CLEANUP_THRESHOLD", &["much", ".5m"]),
            (
                "PLIMSOLL_CLEANUP_DEADLINE_MS",
                &["0", "1.5", "4s", "3600001"],
            ),
            ("PLIMSOLL_METER_INTERVAL", &["0", "15KiB", "65m", "often"]),
            ("PLIMSOLL_ELEVATED_PERCENT", &["0", "101", "low"]),
            ("PLIMSOLL_CRITICAL_PERCENT", &["0", "101", "NaN"]),
            ("PLIMSOLL_AUTOMATIC_CLEANUP", &["yes", "1", "ON"]),
            ("PLIMSOLL_BRAKE", &["no", "0"]),
            ("PLIMSOLL_FASTER_DECAY", &["true"]),
        ];
        for (name, values) in table {
            for value in values {
                let (settings, errors) = fill_with(&[(name, value)]);
                assert_eq!(errors.len(), 1, "{name}={value}");
                let error = &errors[0];
                assert!(error.contains(name) && error.contains(value), "{error}");
                assert_eq!(settings, Settings::default(), "{name}={value}");
            }
        }
    }

    #[test]
    fn code_wins_over_the_environment_and_empty_is_not_set() {
        let mut settings = Settings {
            max_memory_percent: Some(60.0),
            ..Settings::default()
        };
        let errors = fill_from(&mut settings, |name| {
            Some(if name.ends_with("PERCENT") { "70" } else { " " }.to_owned())
        });
        assert!(errors.is_empty());
        assert_eq!(settings.max_memory_percent, Some(60.0));
        assert_eq!(settings.limit, None);
    }

    #[test]
    fn the_table_in_the_docs_is_this_table() {
        let source = include_str!("environment.rs");
        for EnvironmentVariable {
            name,
            meaning,
            accepts,
            default,
            ..
        } in ENVIRONMENT
        {
            let row = format!("/// | `{name}` | {meaning} | {accepts} | {default} |");
            assert!(source.contains(&row), "missing row: {row}");
        }
    }
}
