//! [`Suggestion`]: the limit that a site's past calls for, in words to paste.

use std::fmt;

use crate::bytes::ByteSize;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What a site's calls needed so far, and the limit to give it. Prints as
///
/// ```text
/// p99 of 41,000 calls is 37 MiB; suggest `#[memory_limit(43)]`
/// ```
///
/// ```
/// use plimsoll::{MemoryLimit, get_memory_manager};
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// for _ in 0..100 {
///     drop(MemoryLimit::mib(1).named("suggested for").enter());
/// }
/// let scopes = get_memory_manager().scopes();
/// let scope = scopes.iter().find(|scope| scope.name == "suggested for").unwrap();
/// let suggestion = scope.suggestion().unwrap();
/// assert_eq!(suggestion.calls, 100);
/// println!("{suggestion}"); // p99 of 100 calls is 1 KiB; suggest `#[memory_limit(max = "2KiB")]`
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Suggestion {
    /// The calls that it is drawn from.
    pub calls: u64,
    /// What 99 % of them did not pass: at most an eighth too high from 1 KiB on, and never too low.
    pub p99_bytes: u64,
    /// 15 % more, rounded up to whole MiB, or to whole KiB when 1 MiB is enough.
    pub limit_bytes: u64,
}

/// 15 % above `p99_bytes`, in units that an attribute can say: 37 MiB becomes 42.55, and so 43 MiB.
pub(super) fn suggested_limit_bytes(p99_bytes: u64) -> u64 {
    let bytes = (u128::from(p99_bytes) * 115).div_ceil(100);
    let unit = u128::from(if bytes > u128::from(MIB) { MIB } else { KIB });
    let whole = bytes.next_multiple_of(unit);
    // At the end of the range, the last multiple that fits.
    u64::try_from(whole).unwrap_or(u64::MAX - (MIB - 1))
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("p99 of ")?;
        with_separators(f, self.calls)?;
        let calls = if self.calls == 1 { "call" } else { "calls" };
        let p99 = ByteSize::bytes(self.p99_bytes).to_string();
        write!(
            f,
            " {calls} is {}; suggest `#[memory_limit(",
            p99.replace(".0 ", " ")
        )?;
        if self.limit_bytes.is_multiple_of(MIB) {
            write!(f, "{})]`", self.limit_bytes / MIB)
        } else {
            write!(f, "max = \"{}KiB\")]`", self.limit_bytes.div_ceil(KIB))
        }
    }
}

/// `41000` as `41,000`.
fn with_separators(f: &mut fmt::Formatter<'_>, number: u64) -> fmt::Result {
    let digits = number.to_string();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            f.write_str(",")?;
        }
        write!(f, "{digit}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn prints(calls: u64, p99_bytes: u64, text: &str) {
        let suggestion = Suggestion {
            calls,
            p99_bytes,
            limit_bytes: suggested_limit_bytes(p99_bytes),
        };
        assert_eq!(suggestion.to_string(), text);
    }

    #[test]
    fn prints_what_can_be_pasted() {
        prints(
            41_000,
            37 * MIB,
            "p99 of 41,000 calls is 37 MiB; suggest `#[memory_limit(43)]`",
        );
        prints(
            1,
            KIB,
            "p99 of 1 call is 1 KiB; suggest `#[memory_limit(max = \"2KiB\")]`",
        );
        prints(
            1_234_567,
            55 * KIB + 512,
            "p99 of 1,234,567 calls is 55.5 KiB; suggest `#[memory_limit(max = \"64KiB\")]`",
        );
        prints(
            100,
            896 * KIB,
            "p99 of 100 calls is 896 KiB; suggest `#[memory_limit(2)]`",
        );
        prints(
            999,
            20 * 1024 * MIB,
            "p99 of 999 calls is 20 GiB; suggest `#[memory_limit(23552)]`",
        );
    }

    #[test]
    fn a_limit_is_whole_and_has_room() {
        for p99_bytes in [0, 1, 891, 890 * KIB, 912 * KIB, MIB, 37 * MIB, 1 << 40] {
            let limit_bytes = suggested_limit_bytes(p99_bytes);
            assert!(limit_bytes as f64 >= p99_bytes as f64 * 1.15);
            let unit = if limit_bytes > MIB { MIB } else { KIB };
            assert_eq!(limit_bytes % unit, 0, "{p99_bytes}");
            assert!(limit_bytes as f64 <= p99_bytes as f64 * 1.15 + unit as f64);
        }
        assert_eq!(suggested_limit_bytes(37 * MIB), 43 * MIB);
        assert_eq!(suggested_limit_bytes(u64::MAX), u64::MAX - (MIB - 1));
    }
}
