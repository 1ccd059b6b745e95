//! Containers without a limit, or without one on swap.

use crate::doctor::containers::{Facts, SwapLimit};
use crate::doctor::finding::{Code, Finding, Severity, container};
use crate::size;

/// What can take all of the host's memory, or of its swap.
pub fn examine(containers: &[Facts]) -> Vec<Finding> {
    let running = containers.iter().filter(|facts| facts.is_running);
    running
        .filter_map(|facts| match facts.limit_bytes {
            None => Some(without_limit(facts)),
            Some(limit_bytes) => without_swap_limit(facts, limit_bytes),
        })
        .collect()
}

fn without_limit(facts: &Facts) -> Finding {
    let uses = facts.used_bytes.map(size::human);
    let uses = uses.map_or_else(String::new, |used| format!("; it uses {used} now"));
    let mut found = Finding::new(
        Severity::Warning,
        Code::NoLimit,
        container(&facts.name),
        format!("no limit: it can take all of the host's memory{uses}"),
        format!("plimsoll resize {} SIZE", facts.name),
    );
    found.bytes = facts.used_bytes;
    found
}

fn without_swap_limit(facts: &Facts, limit_bytes: u64) -> Option<Finding> {
    let beyond = match facts.swap_limit {
        SwapLimit::Bytes(both_bytes) if both_bytes <= limit_bytes => return None,
        SwapLimit::Bytes(both_bytes) => {
            format!(
                "{} beyond it may be swapped",
                size::human(both_bytes - limit_bytes)
            )
        }
        SwapLimit::Unlimited => "all of the host's swap may be used beyond it".to_owned(),
        SwapLimit::Unset => "none for swap is in force".to_owned(),
    };
    let limit = size::docker(limit_bytes);
    let what = format!(
        "a limit of {} for memory, but {beyond}",
        size::human(limit_bytes)
    );
    Some(Finding::new(
        Severity::Warning,
        Code::NoSwapLimit,
        container(&facts.name),
        what,
        format!(
            "docker update --memory {limit} --memory-swap {limit} {}",
            facts.name
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::containers::example;

    #[test]
    fn limits_are_judged_by_both_numbers() {
        let mib = 1 << 20;
        let table = [
            (Some(64 * mib), SwapLimit::Bytes(64 * mib), None),
            (
                Some(64 * mib),
                SwapLimit::Bytes(64 * mib + 1),
                Some(Code::NoSwapLimit),
            ),
            (
                Some(64 * mib),
                SwapLimit::Bytes(128 * mib),
                Some(Code::NoSwapLimit),
            ),
            (
                Some(64 * mib),
                SwapLimit::Unlimited,
                Some(Code::NoSwapLimit),
            ),
            (Some(64 * mib), SwapLimit::Unset, Some(Code::NoSwapLimit)),
            (None, SwapLimit::Unset, Some(Code::NoLimit)),
            (None, SwapLimit::Unlimited, Some(Code::NoLimit)),
        ];
        for (limit_bytes, swap_limit, code) in table {
            let mut facts = example("a");
            (facts.limit_bytes, facts.swap_limit) = (limit_bytes, swap_limit);
            let found = examine(&[facts.clone()]);
            let codes: Vec<Code> = found.iter().map(|found| found.code).collect();
            assert_eq!(
                codes,
                Vec::from_iter(code),
                "{limit_bytes:?} {swap_limit:?}"
            );
            facts.is_running = false;
            assert_eq!(examine(&[facts]), []);
        }
    }

    #[test]
    fn the_command_names_the_container_and_both_limits() {
        let mut facts = example("crypto-news");
        facts.swap_limit = SwapLimit::Bytes(200 << 20);
        let found = &examine(&[facts])[0];
        assert_eq!(
            found.todo,
            "docker update --memory 100m --memory-swap 100m crypto-news"
        );
        assert!(found.what.contains("100 MiB beyond"), "{}", found.what);
    }
}
