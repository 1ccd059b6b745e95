//! Sizes as text: the dialect of `docker run --memory`, where every unit is a power of 1024.

use std::fmt;

/// Why a text is not a size.
#[derive(Debug, PartialEq)]
pub enum SizeError {
    NotANumber,
    UnknownUnit(String),
    NotPositive,
    TooLarge,
}

/// The bytes that a text such as `64MiB` stands for; a plain number is a number of bytes.
pub fn bytes(text: &str) -> Result<u64, SizeError> {
    if text.starts_with('-') {
        return Err(SizeError::NotPositive);
    }
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    if number.is_empty() {
        return Err(SizeError::NotANumber);
    }
    times(number, unit_bytes(unit.trim_start_matches(' '))?)
}

/// The bytes that a number of MiB stands for.
pub fn mebibytes(number: &str) -> Result<u64, SizeError> {
    times(number, KIB.pow(2))
}

const KIB: u128 = 1024;

fn unit_bytes(unit: &str) -> Result<u128, SizeError> {
    match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Ok(1),
        "k" | "kb" | "kib" => Ok(KIB),
        "m" | "mb" | "mib" => Ok(KIB.pow(2)),
        "g" | "gb" | "gib" => Ok(KIB.pow(3)),
        "t" | "tb" | "tib" => Ok(KIB.pow(4)),
        _ => Err(SizeError::UnknownUnit(unit.to_owned())),
    }
}

/// `number` times `unit`, with what is left of a byte cut off. In integers, because a float would
/// lose the last digits of a large number.
fn times(number: &str, unit: u128) -> Result<u64, SizeError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || ![whole, fraction].iter().all(|part| is_digits(part)) {
        return Err(SizeError::NotANumber);
    }
    // Digits past the 18th are worth less than a millionth of a byte, whatever the unit.
    let (fraction, scale) = fraction
        .bytes()
        .take(18)
        .fold((0, 1), |(value, scale), digit| {
            (value * 10 + u128::from(digit - b'0'), scale * 10)
        });
    let whole: u64 = whole.parse().map_err(|_| SizeError::TooLarge)?;
    match u64::try_from(u128::from(whole) * unit + fraction * unit / scale) {
        Ok(0) => Err(SizeError::NotPositive),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(SizeError::TooLarge),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber => {
                f.write_str("write digits, with a unit if in quotes, such as `0.5` or `\"64MiB\"`")
            }
            Self::UnknownUnit(unit) => {
                write!(
                    f,
                    "unknown unit `{unit}`, known are b, k, m, g, t, and the like of kb and kib"
                )
            }
            Self::NotPositive => f.write_str("the least is one byte"),
            Self::TooLarge => write!(f, "the most is {} bytes", u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SizeError::{NotANumber, NotPositive, TooLarge, UnknownUnit};
    use super::*;

    #[test]
    fn reads_the_dialect_that_the_library_reads() {
        for line in include_str!("../../../tests/fixtures/sizes.txt").lines() {
            let (text, expected) = line.split_once(" = ").unwrap();
            assert_eq!(bytes(text).ok(), expected.parse().ok(), "{text:?}");
        }
    }

    #[test]
    fn fractions_keep_every_byte() {
        let table = [
            ("0.3333333333333333333333333333333333333333k", 341),
            // A float would make this one less.
            ("9007199254740993", 9_007_199_254_740_993),
            ("16777215.5t", u64::MAX - (1 << 39) + 1),
        ];
        for (text, expected) in table {
            assert_eq!(bytes(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let unknown = |unit: &str| UnknownUnit(unit.to_owned());
        let table = [
            ("", NotANumber),
            ("m", NotANumber),
            ("NaN", NotANumber),
            ("inf", NotANumber),
            ("+5m", NotANumber),
            (" 5m", NotANumber),
            (".5m", NotANumber),
            (".", NotANumber),
            (".m", NotANumber),
            ("1.2.3m", NotANumber),
            ("12xb", unknown("xb")),
            ("5m ", unknown("m ")),
            ("5\tm", unknown("\tm")),
            ("1e3", unknown("e3")),
            ("1,5g", unknown(",5g")),
            ("5bb", unknown("bb")),
            ("5bib", unknown("bib")),
            ("5p", unknown("p")),
            ("5 µb", unknown("µb")),
            ("0", NotPositive),
            ("0.0g", NotPositive),
            ("0.9b", NotPositive),
            ("-5m", NotPositive),
            ("18446744073709551616", TooLarge),
            ("16777216t", TooLarge),
            ("99999999999999999999999999g", TooLarge),
        ];
        for (text, expected) in table {
            assert_eq!(bytes(text), Err(expected), "{text:?}");
        }
    }
}
