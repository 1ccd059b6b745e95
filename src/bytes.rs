//! [`ByteSize`]: a number of bytes that reads aloud.

use std::fmt;
use std::str::FromStr;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A number of bytes.
///
/// Every unit is a power of 1024, as in Docker: `512m`, `512MB` and `512MiB` are all 536,870,912 bytes. (Kubernetes reads
/// `512m` as half a byte and `512M` as 512,000,000: convert there, not here.)
///
/// ```
/// use plimsoll::ByteSize;
///
/// assert_eq!("512m".parse(), Ok(ByteSize::mib(512)));
/// assert_eq!("1.5 GiB".parse(), Ok(ByteSize::mib(1536)));
/// assert_eq!(ByteSize::mib(1536).to_string(), "1.5 GiB");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct ByteSize(u64);

impl ByteSize {
    /// `count` bytes.
    ///
    /// ```
    /// assert_eq!(plimsoll::ByteSize::bytes(1024), plimsoll::ByteSize::kib(1));
    /// ```
    pub const fn bytes(count: u64) -> Self {
        ByteSize(count)
    }

    /// `count` times 1024 bytes; stays at the largest size that fits.
    ///
    /// ```
    /// assert_eq!(plimsoll::ByteSize::kib(2).as_u64(), 2048);
    /// ```
    pub const fn kib(count: u64) -> Self {
        ByteSize(count.saturating_mul(KIB))
    }

    /// `count` times 1024 KiB; stays at the largest size that fits.
    ///
    /// ```
    /// assert_eq!(plimsoll::ByteSize::mib(1), plimsoll::ByteSize::kib(1024));
    /// ```
    pub const fn mib(count: u64) -> Self {
        ByteSize(count.saturating_mul(MIB))
    }

    /// `count` times 1024 MiB; stays at the largest size that fits.
    ///
    /// ```
    /// assert_eq!(plimsoll::ByteSize::gib(u64::MAX).as_u64(), u64::MAX);
    /// ```
    pub const fn gib(count: u64) -> Self {
        ByteSize(count.saturating_mul(GIB))
    }

    /// The number of bytes.
    ///
    /// ```
    /// assert_eq!(plimsoll::ByteSize::bytes(7).as_u64(), 7);
    /// ```
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            bytes if bytes < KIB => return f.pad(&format!("{bytes} B")),
            bytes if bytes < MIB => (KIB, "KiB"),
            bytes if bytes < GIB => (MIB, "MiB"),
            bytes if bytes < TIB => (GIB, "GiB"),
            _ => (TIB, "TiB"),
        };
        f.pad(&format!("{:.1} {name}", self.0 as f64 / unit as f64))
    }
}

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;

    /// Reads `512m`, `1.5 GiB`, `64MB`, `100000`; units in any case, with or without `b` or `ib`.
    ///
    /// # Errors
    /// When the text is not a number from 0 to 2^64 - 1 bytes with one of these units.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.trim())
            .map(ByteSize)
            .ok_or_else(|| ParseByteSizeError {
                text: text.to_owned(),
            })
    }
}

fn parse(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => KIB,
        "m" | "mb" | "mib" => MIB,
        "g" | "gb" | "gib" => GIB,
        "t" | "tb" | "tib" => TIB,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    // A fraction: "1.5" and "1.", not ".", ".5" or "1.5.0".
    let (whole, fraction) = number.split_once('.')?;
    if whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let bytes = number.parse::<f64>().ok()? * unit as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// A text that is no size.
///
/// ```
/// let error = "12 parsecs".parse::<plimsoll::ByteSize>().unwrap_err();
/// assert!(error.to_string().contains("12 parsecs"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseByteSizeError {
    text: String,
}

impl ParseByteSizeError {
    /// What is accepted, in words.
    pub(crate) const ACCEPTED: &'static str =
        "a size such as 512MiB, 1.5g or 100000 (k, m, g, t are powers of 1024)";
}

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.text, Self::ACCEPTED)
    }
}

impl std::error::Error for ParseByteSizeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_dialect_that_the_attributes_read() {
        for line in include_str!("../tests/fixtures/sizes.txt").lines() {
            let (text, expected) = line.split_once(" = ").unwrap();
            let expected = expected.parse().ok().map(ByteSize);
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
        let beside = [
            ("0", Some(0)),
            (" 512 MiB ", Some(512 * MIB)),
            ("16777216.5t", None),
            ("", None),
            ("12\u{661}", None),
        ];
        for (text, expected) in beside {
            assert_eq!(text.parse().ok(), expected.map(ByteSize), "{text:?}");
        }
    }

    #[test]
    fn prints_the_largest_unit_with_one_decimal() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (KIB, "1.0 KiB"),
            (1536 * MIB, "1.5 GiB"),
            (TIB, "1.0 TiB"),
            (u64::MAX, "16777216.0 TiB"),
        ];
        for (bytes, expected) in table {
            assert_eq!(ByteSize(bytes).to_string(), expected);
        }
        assert_eq!(format!("{:>9}|", ByteSize(5)), "      5 B|");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<ByteSize>();
        }

        #[test]
        fn what_is_printed_reads_back_within_a_twentieth(bytes in 0u64..1 << 50) {
            let back = ByteSize(bytes).to_string().parse::<ByteSize>().unwrap().0;
            prop_assert!(back.abs_diff(bytes) <= bytes / 20);
        }
    }
}
