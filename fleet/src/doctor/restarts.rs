//! Containers that start again and again.

use crate::doctor::containers::Facts;
use crate::doctor::finding::{Code, Finding, Severity, container};

/// A host that was rebooted or an engine that was updated restart a container as well, once each.
const OFTEN: u64 = 3;

/// What restarts now, or has restarted often.
pub fn examine(containers: &[Facts]) -> Vec<Finding> {
    let restarting = containers
        .iter()
        .filter(|facts| facts.is_restarting || facts.restarts_total >= OFTEN);
    restarting.map(restarts).collect()
}

fn restarts(facts: &Facts) -> Finding {
    let (severity, now) = match facts.is_restarting {
        true => (
            Severity::Error,
            format!(
                ", and waits for the next; it ended with {}",
                facts.exit_code
            ),
        ),
        false => (Severity::Warning, String::new()),
    };
    let mut found = Finding::new(
        severity,
        Code::Restarting,
        container(&facts.name),
        format!(
            "restarted {} times since it was made{now}",
            facts.restarts_total
        ),
        format!("docker logs --tail 50 {}", facts.name),
    );
    found.count = Some(facts.restarts_total);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::containers::example;

    #[test]
    fn a_loop_is_an_error_and_a_reboot_is_nothing() {
        let table = [
            (0, false, None),
            (2, false, None),
            (3, false, Some(Severity::Warning)),
            (1, true, Some(Severity::Error)),
        ];
        for (restarts_total, is_restarting, severity) in table {
            let mut facts = example("a");
            (facts.restarts_total, facts.is_restarting) = (restarts_total, is_restarting);
            let found = examine(&[facts]);
            let severities: Vec<_> = found.iter().map(|found| found.severity).collect();
            assert_eq!(severities, Vec::from_iter(severity), "{restarts_total}");
        }
    }
}
