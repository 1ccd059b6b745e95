//! [`read`]: the little that a scaler wants of a service's metrics.

use std::fmt;

use crate::decide::HIGH_RATIOS;

/// As in the library's table of metrics; a test holds the two together.
const RECLAIMABLE: &str = "plimsoll_reclaimable_bytes";
const LEVEL: &str = "plimsoll_pressure_level";
const BEGINS: &str = "plimsoll_level_begins_ratio";
const HIGH_LABEL: &str = "level=\"high\"";
/// Critical.
const HIGHEST_LEVEL: u8 = 3;
/// No service has more, and whole numbers are exact up to here.
const MOST_BYTES: f64 = (1_u64 << 53) as f64;

/// What a service says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// All hooks together; `None`: no hook says.
    pub(crate) reclaimable_bytes: Option<u64>,
    /// 0 Normal to 3 Critical.
    pub(crate) pressure_level: Option<u8>,
    /// Above this part of its limit it refuses work.
    pub(crate) high_ratio: Option<f64>,
}

/// Not what a service with the library says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nonsense {
    Line { number: usize, text: String },
    Nothing,
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nonsense::Line { number, text } => {
                write!(f, "line {number} of its metrics makes no sense: {text:?}")
            }
            Nonsense::Nothing => f.write_str("its metrics have none of plimsoll's"),
        }
    }
}

/// Reads Prometheus' text format. Other metrics than these are nobody's business here.
pub(super) fn read(text: &str) -> Result<Told, Nonsense> {
    let mut told = Told::default();
    for (position, line) in text.lines().enumerate() {
        let line = line.trim();
        let nonsense = || Nonsense::Line {
            number: position + 1,
            text: line.chars().take(60).collect(),
        };
        let end = line
            .find(|c: char| c == '{' || c.is_ascii_whitespace())
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        match name {
            RECLAIMABLE => {
                let bytes = value(rest)
                    .filter(|bytes| (0.0..=MOST_BYTES).contains(bytes))
                    .ok_or_else(nonsense)?;
                let sum = told.reclaimable_bytes.unwrap_or(0) as f64 + bytes;
                let sum = Some(sum).filter(|sum| *sum <= MOST_BYTES);
                told.reclaimable_bytes = Some(sum.ok_or_else(nonsense)? as u64);
            }
            LEVEL => {
                let levels = 0..=HIGHEST_LEVEL;
                let level = value(rest)
                    .and_then(|value| levels.into_iter().find(|level| f64::from(*level) == value));
                told.pressure_level = Some(level.ok_or_else(nonsense)?);
            }
            BEGINS if rest.contains(HIGH_LABEL) => {
                let ratio = value(rest).filter(|ratio| HIGH_RATIOS.contains(ratio));
                told.high_ratio = Some(ratio.ok_or_else(nonsense)?);
            }
            _ => {}
        }
    }
    if told == Told::default() {
        return Err(Nonsense::Nothing);
    }
    Ok(told)
}

/// What follows a name: labels perhaps, the value, a time perhaps.
fn value(rest: &str) -> Option<f64> {
    let mut words = after_labels(rest)?.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    let time_is_one = words.next().is_none_or(|time| time.parse::<i64>().is_ok());
    (time_is_one && words.next().is_none()).then_some(value)
}

/// A label's value may hold braces, and quotes after a backslash.
fn after_labels(rest: &str) -> Option<&str> {
    let Some(labels) = rest.trim_start().strip_prefix('{') else {
        return Some(rest);
    };
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (position, byte) in labels.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return labels.get(position + 1..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll::telemetry::{Kind, Unit, metrics};

    #[test]
    fn the_names_are_the_library_s() {
        let of = |name: &str| metrics().find(|metric| metric.name() == name).unwrap();
        let reclaimable = of(RECLAIMABLE);
        assert_eq!(
            (reclaimable.kind(), reclaimable.unit()),
            (Kind::Gauge, Unit::Bytes)
        );
        assert_eq!(reclaimable.label_names(), ["hook"]);
        assert_eq!(of(LEVEL).kind(), Kind::Gauge);
        assert_eq!(of(BEGINS).label_names(), ["level"]);
        assert_eq!(plimsoll::PressureLevel::Critical as u8, HIGHEST_LEVEL);
    }

    #[test]
    fn what_the_library_writes_is_read() {
        let manager = plimsoll::MemoryManager::builder().build().unwrap();
        assert_eq!(
            read(&manager.prometheus()),
            Ok(Told {
                reclaimable_bytes: None,
                pressure_level: Some(0),
                high_ratio: Some(0.8),
            })
        );
    }

    #[test]
    fn hooks_are_summed_and_the_rest_is_passed_over() {
        let table = [
            ("plimsoll_reclaimable_bytes{hook=\"a\"} 5\n", Some(5), None),
            (
                "# HELP plimsoll_reclaimable_bytes x\n# TYPE plimsoll_reclaimable_bytes gauge\n\
                 plimsoll_reclaimable_bytes{hook=\"a } b\\\" } c\"} 5 1700000000000\r\nplimsoll_reclaimable_bytes{hook=\"c\",}  7e3  \n\
                 plimsoll_pressure_level 2\nother{x=\"plimsoll_pressure_level 9\"} NaN\nplimsoll_pressure_levels 8\n",
                Some(7005),
                Some(2),
            ),
            ("plimsoll_pressure_level 0", None, Some(0)),
            ("plimsoll_reclaimable_bytes 0", Some(0), None),
        ];
        for (text, reclaimable_bytes, pressure_level) in table {
            let told = Told {
                reclaimable_bytes,
                pressure_level,
                high_ratio: None,
            };
            assert_eq!(read(text), Ok(told), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_figure() {
        for line in [
            "plimsoll_reclaimable_bytes",
            "plimsoll_reclaimable_bytes{",
            "plimsoll_reclaimable_bytes{hook=\"} 5",
            "plimsoll_reclaimable_bytes -1",
            "plimsoll_reclaimable_bytes NaN",
            "plimsoll_reclaimable_bytes +Inf",
            "plimsoll_reclaimable_bytes 1e300",
            "plimsoll_reclaimable_bytes much",
            "plimsoll_reclaimable_bytes 1 2 3",
            "plimsoll_reclaimable_bytes 1 soon",
            "plimsoll_pressure_level 4",
            "plimsoll_pressure_level 0.5",
            "plimsoll_pressure_level -1",
            "plimsoll_level_begins_ratio{level=\"high\"} 0",
            "plimsoll_level_begins_ratio{level=\"high\"} 0.001",
            "plimsoll_level_begins_ratio{level=\"high\"} 0.29",
            "plimsoll_level_begins_ratio{level=\"high\"} 80",
        ] {
            let text = format!("# a comment\n{line}\n");
            let error = read(&text).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, Nonsense::Line { number: 2, .. }), "{said}");
        }
        for text in ["", "<html>not found</html>", "up 1\n"] {
            assert_eq!(read(text), Err(Nonsense::Nothing), "{text}");
        }
    }

    #[test]
    fn a_sum_that_no_service_has_is_nonsense() {
        let line = "plimsoll_reclaimable_bytes 9007199254740992\n";
        assert_eq!(read(line).unwrap().reclaimable_bytes, Some(1 << 53));
        // So many overflow.
        for lines in [2, 2048] {
            let error = read(&line.repeat(lines)).unwrap_err();
            assert!(matches!(error, Nonsense::Line { number: 2, .. }), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "(plimsoll_(reclaimable_bytes|pressure_level)[{ ]?)?.{0,40}\n?.{0,40}") {
            if let Ok(told) = read(&text) {
                proptest::prop_assert!(told != Told::default());
            }
        }
    }
}
