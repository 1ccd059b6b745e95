//! [`bumped_bytes`]: what a limit becomes after a kill.

const FACTOR_PERCENT: u128 = 120;
const AT_LEAST_BYTES: u64 = 100 << 20;

/// A fifth more, or 100 MiB more if that is more.
pub fn bumped_bytes(bytes: u64) -> u64 {
    let fifth_more = (u128::from(bytes) * FACTOR_PERCENT / 100).min(u128::from(u64::MAX)) as u64;
    fifth_more.max(bytes.saturating_add(AT_LEAST_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_both() {
        let mib = |n: u64| n << 20;
        let table = [
            (0, mib(100)),
            (mib(256), mib(356)),
            (mib(500), mib(600)),
            (mib(1000), mib(1200)),
            (u64::MAX, u64::MAX),
            (u64::MAX - 1, u64::MAX),
        ];
        for (before, after) in table {
            assert_eq!(bumped_bytes(before), after);
        }
    }
}
