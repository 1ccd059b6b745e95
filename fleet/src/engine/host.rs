//! The host's memory, against what a profile is for.

use std::fs;

use crate::size::human;

/// The kernel and the firmware keep a part of what is built in, so a sixteenth less is no other host.
pub(crate) fn is_too_small(host_bytes: u64, for_bytes: u64) -> bool {
    host_bytes < for_bytes - for_bytes / 16
}

/// What people are told of a host that is too small for the profile `name`, which is for `for_bytes`.
pub(crate) fn host_warning(
    host_bytes: u64,
    name: &str,
    for_bytes: u64,
    limits_bytes: u64,
) -> String {
    format!(
        "warning: this host has {}, and the profile {name} is for {}, with limits of {} together",
        human(host_bytes),
        human(for_bytes),
        human(limits_bytes),
    )
}

/// What the kernel says that this machine has.
pub(super) fn machine_bytes() -> Option<u64> {
    total_bytes(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_host_is_told_and_a_usual_one_is_not() {
        for (host_bytes, is) in [(16 << 30, false), (31 << 29, false), (7 << 30, true)] {
            assert_eq!(is_too_small(host_bytes, 16 << 30), is, "{host_bytes}");
        }
        let said = host_warning(7 << 30, "production", 16 << 30, 11 << 30);
        for part in ["7 GiB", "production", "16 GiB", "11 GiB"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn the_machine_s_memory_is_what_the_kernel_says() {
        let table = [
            (
                "MemTotal:       24684096 kB\nMemFree: 1 kB\n",
                Some(24_684_096 << 10),
            ),
            ("MemFree: 1 kB\nMemTotal: 2 kB\n", Some(2 << 10)),
            ("MemTotal: many\n", None),
            ("MemTotal: 18446744073709551615 kB\n", None),
            ("", None),
        ];
        for (text, bytes) in table {
            assert_eq!(total_bytes(text), bytes, "{text}");
        }
    }
}
