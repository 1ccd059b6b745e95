//! The host's swap.

use std::fs;
use std::path::Path;

use crate::doctor::finding::{Code, Finding, Severity, Unreadable};
use crate::size;

/// Above so many percent used there is little left.
const FULL_PERCENT: f64 = 80.0;

/// The guide's commands. They are printed, never run.
const CREATE: &str = "sudo fallocate -l 4G /swapfile\nsudo chmod 600 /swapfile\nsudo mkswap /swapfile\nsudo swapon /swapfile";

/// What the host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// Files and partitions.
    pub areas: Vec<String>,
}

/// What `/proc/meminfo` and `/proc/swaps` say; `None`: not that.
pub fn parse(meminfo: &str, swaps: &str) -> Option<Swap> {
    let kib = |name: &str| {
        meminfo.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?.trim();
            value.strip_suffix("kB")?.trim().parse::<u64>().ok()
        })
    };
    let areas = swaps.lines().skip(1);
    let areas = areas.filter_map(|line| line.split_whitespace().next());
    Some(Swap {
        total_bytes: kib("SwapTotal")?.saturating_mul(1024),
        free_bytes: kib("SwapFree")?.saturating_mul(1024),
        areas: areas.map(str::to_owned).collect(),
    })
}

/// None, or nearly used up.
pub fn examine(swap: &Swap) -> Option<Finding> {
    if swap.total_bytes == 0 {
        let what = "no swap: when memory is short the kernel kills at once";
        let found = Finding::new(Severity::Warning, Code::NoSwap, "host", what, CREATE);
        return Some(found);
    }
    let used_bytes = swap.total_bytes.saturating_sub(swap.free_bytes);
    let percent = used_bytes as f64 / swap.total_bytes as f64 * 100.0;
    if percent <= FULL_PERCENT {
        return None;
    }
    let what = format!(
        "{percent:.0} % of the swap are used: {} of {} ({})",
        size::human(used_bytes),
        size::human(swap.total_bytes),
        swap.areas.join(", "),
    );
    let todo = "find who needs it with `plimsoll top`, and lower the sum of limits or add memory";
    let mut found = Finding::new(Severity::Warning, Code::SwapFull, "host", what, todo);
    found.percent = Some(percent);
    found.bytes = Some(used_bytes);
    Some(found)
}

/// What the kernel says below `proc`.
///
/// # Errors
///
/// It says nothing.
pub fn read(proc: &Path) -> Result<Swap, Unreadable> {
    let path = proc.join("meminfo");
    let todo = "free";
    let meminfo = fs::read_to_string(&path)
        .map_err(|error| Unreadable::new(format!("{}: {error}", path.display()), todo))?;
    // Without it the areas have no names, that is all.
    let swaps = fs::read_to_string(proc.join("swaps")).unwrap_or_default();
    parse(&meminfo, &swaps)
        .ok_or_else(|| Unreadable::new(format!("{}: no SwapTotal in it", path.display()), todo))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWAPS: &str = "Filename\tType\tSize\tUsed\tPriority\n/swapfile file 4194300 0 -2\n";

    fn meminfo(total_kib: u64, free_kib: u64) -> String {
        format!(
            "MemTotal: 24684096 kB\nSwapCached: 1 kB\nSwapTotal: {total_kib} kB\nSwapFree: {free_kib} kB\n"
        )
    }

    #[test]
    fn no_swap_and_a_full_one_are_found_and_a_good_one_is_not() {
        let table = [
            (0, 0, Some(Code::NoSwap)),
            (1000, 1000, None),
            (1000, 200, None),
            (1000, 199, Some(Code::SwapFull)),
            (1000, 0, Some(Code::SwapFull)),
        ];
        for (total_kib, free_kib, code) in table {
            let swap = parse(&meminfo(total_kib, free_kib), SWAPS).unwrap();
            assert_eq!(swap.total_bytes, total_kib * 1024);
            let found = examine(&swap);
            assert_eq!(
                found.map(|found| found.code),
                code,
                "{total_kib} {free_kib}"
            );
        }
    }

    #[test]
    fn the_guide_s_commands_are_printed_in_order() {
        let swap = parse(&meminfo(0, 0), "Filename Type Size Used Priority\n").unwrap();
        let todo = examine(&swap).unwrap().todo;
        let commands: Vec<&str> = todo.lines().collect();
        assert_eq!(
            commands,
            [
                "sudo fallocate -l 4G /swapfile",
                "sudo chmod 600 /swapfile",
                "sudo mkswap /swapfile",
                "sudo swapon /swapfile",
            ]
        );
    }

    #[test]
    fn what_is_no_meminfo_is_unknown() {
        for text in [
            "",
            "SwapTotal: x kB\nSwapFree: 0 kB",
            "SwapTotal: 5 kB",
            "SwapTotal: 5\nSwapFree: 5",
        ] {
            assert_eq!(parse(text, ""), None, "{text:?}");
        }
        let error = read(Path::new("/nonexistent")).unwrap_err();
        assert!(error.why.contains("/nonexistent/meminfo"), "{error:?}");
    }
}
