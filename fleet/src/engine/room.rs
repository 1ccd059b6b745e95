//! The room that every limit leaves above what is used.

use std::fmt::Display;

use crate::engine::EngineError;
use crate::size::human;

/// One sixteenth of what is used, and at least so much.
const LEAST_ROOM_BYTES: u64 = 4 << 20;

/// The lowest limit that is safe at this usage. Below it the next allocations are an out-of-memory kill; on cgroup v2 the change itself is one.
///
/// ```
/// use plimsoll_fleet::engine::least_limit_bytes;
///
/// assert_eq!(least_limit_bytes(160 << 20), 170 << 20);
/// assert_eq!(least_limit_bytes(0), 4 << 20);
/// ```
pub fn least_limit_bytes(used_bytes: u64) -> u64 {
    used_bytes.saturating_add((used_bytes / 16).max(LEAST_ROOM_BYTES))
}

/// Refuses a lower limit that leaves no room.
pub(super) fn check(
    id: impl Display,
    used_bytes: u64,
    limit_bytes: Option<u64>,
    to_bytes: u64,
) -> Result<(), EngineError> {
    let is_lower = limit_bytes.is_none_or(|limit| to_bytes < limit);
    let least_bytes = least_limit_bytes(used_bytes);
    if is_lower && to_bytes < least_bytes {
        return Err(EngineError::Refused(format!(
            "{id} uses {}; the lowest limit with room for that is {}, not {}",
            human(used_bytes),
            human(least_bytes),
            human(to_bytes),
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_lower_and_leaves_no_room_is_refused() {
        const MIB: u64 = 1 << 20;
        let table = [
            (60, Some(100), 64, true),
            (60, Some(100), 63, false),
            // Full as it is, every bit more helps.
            (100, Some(100), 101, true),
            (100, Some(100), 100, true),
            (60, None, 63, false),
            (60, None, 64, true),
        ];
        for (used, limit, to, is_fine) in table {
            let checked = check("x", used * MIB, limit.map(|mib| mib * MIB), to * MIB);
            assert_eq!(checked.is_ok(), is_fine, "{used} {limit:?} {to}");
        }
        let said = check("hog", 60 * MIB, None, 10 * MIB)
            .unwrap_err()
            .to_string();
        for part in ["hog", "60 MiB", "64 MiB", "10 MiB"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
