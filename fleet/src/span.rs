//! Spans of time, as command lines write them and as people read them.

use std::fmt;

const UNITS: [(u64, char, &str); 4] = [
    (86_400, 'd', "days"),
    (3600, 'h', "h"),
    (60, 'm', "min"),
    (1, 's', "s"),
];

/// No span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanError(String);

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a span of time: write a number and s, m, h or d, as in 30m or 24h",
            self.0
        )
    }
}

impl std::error::Error for SpanError {}

/// `90s`, `30m`, `24h`, `7d` in seconds.
///
/// # Errors
///
/// Anything else.
pub fn parse(text: &str) -> Result<u64, SpanError> {
    let error = || SpanError(text.to_owned());
    let unit = text.chars().last().ok_or_else(error)?;
    let (seconds, ..) = UNITS
        .into_iter()
        .find(|(_, suffix, _)| *suffix == unit)
        .ok_or_else(error)?;
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    let number: u64 = number.parse().map_err(|_| error())?;
    number.checked_mul(seconds).ok_or_else(error)
}

/// For people, in the largest unit of which there is one: `3 min`, `2 days`.
pub fn human(seconds: u64) -> String {
    let (unit, _, name) = UNITS
        .into_iter()
        .find(|(unit, ..)| seconds >= *unit)
        .unwrap_or(UNITS[3]);
    match seconds / unit {
        1 if name == "days" => "1 day".to_owned(),
        count => format!("{count} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_what_is_none_is_named() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1800),
            ("24h", 86_400),
            ("7d", 604_800),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "s",
            "5",
            "-5s",
            "+5s",
            "1.5h",
            "5 m",
            "5w",
            "99999999999999999999s",
            "9999999999999999999d",
            "５m",
            "5é",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn people_read_one_unit() {
        let table = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (7199, "1 h"),
            (86_400, "1 day"),
            (700_000, "8 days"),
        ];
        for (seconds, text) in table {
            assert_eq!(human(seconds), text);
        }
    }
}
