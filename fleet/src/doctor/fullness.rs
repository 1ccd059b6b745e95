//! Containers that are close to their limit.

use crate::doctor::containers::Facts;
use crate::doctor::finding::{Code, Finding, Severity, container};
use crate::size;

/// The guide's line for growing.
const WARNING_PERCENT: f64 = 80.0;
/// The guide's line for the alert.
const ERROR_PERCENT: f64 = 90.0;
/// The guide's factor, as a fraction.
const GROW: (u64, u64) = (3, 2);
const MIB: u64 = 1 << 20;

/// What uses more than 80 % of its limit.
pub fn examine(containers: &[Facts]) -> Vec<Finding> {
    containers.iter().filter_map(nearly_full).collect()
}

fn nearly_full(facts: &Facts) -> Option<Finding> {
    let (used_bytes, limit_bytes) = (facts.used_bytes?, facts.limit_bytes?);
    let percent = used_bytes as f64 / limit_bytes as f64 * 100.0;
    if percent <= WARNING_PERCENT {
        return None;
    }
    let severity = match percent > ERROR_PERCENT {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let grown_bytes = (limit_bytes.saturating_mul(GROW.0) / GROW.1).next_multiple_of(MIB);
    let mut found = Finding::new(
        severity,
        Code::NearlyFull,
        container(&facts.name),
        format!(
            "{percent:.0} % of its limit are used: {} of {}",
            size::human(used_bytes),
            size::human(limit_bytes)
        ),
        format!(
            "plimsoll resize {} {}",
            facts.name,
            size::docker(grown_bytes)
        ),
    );
    found.percent = Some(percent);
    found.bytes = Some(used_bytes);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::containers::example;

    #[test]
    fn above_the_line_is_found_and_at_the_line_is_not() {
        let limit_bytes = 100 * MIB;
        let table = [
            (Some(80 * MIB), Some(limit_bytes), None),
            (
                Some(80 * MIB + 1),
                Some(limit_bytes),
                Some(Severity::Warning),
            ),
            (Some(90 * MIB), Some(limit_bytes), Some(Severity::Warning)),
            (Some(91 * MIB), Some(limit_bytes), Some(Severity::Error)),
            (Some(200 * MIB), Some(limit_bytes), Some(Severity::Error)),
            (None, Some(limit_bytes), None),
            (Some(99 * MIB), None, None),
        ];
        for (used_bytes, limit_bytes, severity) in table {
            let mut facts = example("a");
            (facts.used_bytes, facts.limit_bytes) = (used_bytes, limit_bytes);
            let found = examine(&[facts]);
            let severities: Vec<_> = found.iter().map(|found| found.severity).collect();
            assert_eq!(severities, Vec::from_iter(severity), "{used_bytes:?}");
        }
    }

    #[test]
    fn the_command_is_one_that_resize_takes() {
        let mut facts = example("crypto-fusion");
        (facts.used_bytes, facts.limit_bytes) = (Some(500 * MIB), Some(513 * MIB + 7));
        let found = &examine(&[facts])[0];
        let size = found
            .todo
            .strip_prefix("plimsoll resize crypto-fusion ")
            .unwrap();
        assert_eq!(size::parse(size), Ok(770 * MIB));
    }
}
