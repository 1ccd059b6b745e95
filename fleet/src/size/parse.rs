//! [`parse`]: sizes as profiles and command lines write them.

use std::fmt;

/// No size, or one that another reader would take for something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeError(String);

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a size: write a number and KB, MB or GB (1 KB is 1024 bytes), as in 512MB or 1.5GB",
            self.0
        )
    }
}

impl std::error::Error for SizeError {}

/// `512MB`, `1.5GB`, `64KB`, in units of 1024 as in the guide; `KiB`, `MiB`, `GiB` say the same, and so do docker's `m` and `g`.
///
/// # Errors
///
/// Anything else, a fraction of a byte, and what 64 bits don't hold.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError(text.to_owned());
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let shift = match suffix.trim_start().to_ascii_lowercase().as_str() {
        "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(error()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(|_| error())?;
    if fraction.is_empty() || fraction.len() > 9 {
        return Err(error());
    }
    let parts: u128 = fraction.parse().map_err(|_| error())?;
    let scaled = parts << shift;
    let one = 10_u128.pow(fraction.len() as u32);
    if !scaled.is_multiple_of(one) {
        return Err(error());
    }
    let bytes = (u128::from(whole) << shift) + scaled / one;
    u64::try_from(bytes).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_in_every_spelling() {
        let table = [
            ("512MB", 512 << 20),
            ("512m", 512 << 20),
            ("1.5GB", 1536 << 20),
            ("1.5 GiB", 1536 << 20),
            ("64KB", 64 << 10),
            ("0b", 0),
            ("2t", 2 << 40),
        ];
        for (text, bytes) in table {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_named() {
        for text in [
            "",
            "512",
            "51x2m",
            "-1m",
            "1.m",
            ".5g",
            "1.2.3g",
            "0.3b",
            "m",
            "99999999999g",
            "512Mb/s",
            "１m",
            "1e3m",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
