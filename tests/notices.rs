//! What the kernel tells earlier than the tick, for real: charge lines of cgroup v1, and stalls.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use plimsoll::get_memory_manager;
use support::cgroup::Cgroup;
use support::fork::fork;
use support::notices::{
    WATCH, WRITE, finding, has_psi, notices, told, wait_for_sources, wait_for_watch_thread,
};
use support::{CHILD, assert_success, child_args, is_child, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

/// This test binary, to run only `test`, as a process that starts its life in `cgroup`.
fn child_in(cgroup: &Path, test: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(cgroup)
        .arg(std::env::current_exe().unwrap())
        .args(child_args(test))
        .env(CHILD, "1");
    command
}

/// Another process of the same cgroup, which holds `mib` MiB until it is killed.
struct Holder(Child);

impl Holder {
    fn of(mib: u64) -> Self {
        // Pages of a tmpfs can't be reclaimed, and stay charged to who wrote them.
        let script = "exec 3<>\"$0\"; rm \"$0\"; dd if=/dev/zero bs=1M count=$1 >&3 2>/dev/null; exec sleep 600";
        let file = format!("/dev/shm/plimsoll-notices-{}", std::process::id());
        let child = Command::new("sh")
            .args(["-c", script, &file, &mib.to_string()])
            .stdin(Stdio::null())
            .spawn();
        Holder(child.unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_charge_of_a_neighbour_passes_the_line() {
    const TEST: &str = "the_charge_of_a_neighbour_passes_the_line";
    if is_child() {
        wait_for_sources(&["charge line"]);
        wait_for_watch_thread();
        assert_eq!(notices().charge_line_passed_total, 0);
        // The Elevated line is at 179.2 MiB, the High line at 204.8.
        let below = Holder::of(160);
        wait_until("160 MiB", || {
            get_memory_manager().usage().percent().unwrap() > 62.0
        });
        assert_eq!(notices().charge_line_passed_total, 0);
        let above = Holder::of(30);
        wait_until("a notice", || notices().charge_line_passed_total > 0);
        drop((below, above));
        assert_eq!(finding("v1-threshold-unavailable"), None);
        // Nothing else tells here.
        let stats = notices();
        assert_eq!(
            (
                stats.stalls_total,
                stats.limit_events_total,
                stats.kernel_kills_total
            ),
            (0, 0, None)
        );
        let status = fork(|| {
            wait_for_sources(&["charge line"]);
            wait_for_watch_thread();
            assert_eq!(notices().charge_line_passed_total, 0);
            let _above = Holder::of(215);
            wait_until("a notice", || notices().charge_line_passed_total > 0);
            0
        });
        assert_eq!(status, 0);
        return;
    }
    let Some(cgroup) = Cgroup::new("line") else {
        return;
    };
    cgroup.set_limit(256 * MIB);
    assert_success(&child_in(cgroup.dir(), TEST).output().unwrap());
}

#[test]
fn the_line_moves_with_limit_and_cgroup() {
    const TEST: &str = "the_line_moves_with_limit_and_cgroup";
    if is_child() {
        let (first, second) = (told("FIRST"), told("SECOND"));
        let manager = get_memory_manager();
        let limit_mib = || manager.usage().limit.bytes.unwrap() / MIB;
        wait_for_sources(&["charge line"]);
        // A line at 819 MiB would say nothing of 215 MiB.
        fs::write(first.join("memory.limit_in_bytes"), "256M").unwrap();
        wait_until("a new limit", || limit_mib() == 256);
        // The look that found it has configured the watcher, unless it is about to.
        wait_until("another look", || manager.usage().slow_facts_age_ms > 100);
        let holder = Holder::of(215);
        wait_until("a notice", || notices().charge_line_passed_total > 0);
        drop(holder);

        fs::write(second.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        wait_until("the other cgroup", || limit_mib() == 300);
        wait_until("another look", || manager.usage().slow_facts_age_ms > 100);
        // The one that was left can go, and nothing is said of it.
        wait_until("an empty cgroup", || fs::remove_dir(&first).is_ok());
        fs::create_dir(&first).unwrap();
        let before = notices().charge_line_passed_total;
        let holder = Holder::of(250);
        wait_until("a notice", || notices().charge_line_passed_total > before);
        drop(holder);
        assert_eq!(notices().sources, ["charge line"]);
        assert_eq!(finding("v1-threshold-unavailable"), None);
        return;
    }
    let (Some(first), Some(second)) = (Cgroup::new("moves-1"), Cgroup::new("moves-2")) else {
        return;
    };
    first.set_limit(1024 * MIB);
    second.set_limit(300 * MIB);
    let output = child_in(first.dir(), TEST)
        .env("FIRST", first.dir())
        .env("SECOND", second.dir())
        .output();
    assert_success(&output.unwrap());
}

/// A cgroup of version 2 whose tasks wait for memory because a limit of version 1 holds them: the kernel counts their waiting
/// where they are in the tree of version 2.
#[test]
fn tasks_that_wait_are_told_until_their_cgroup_is_gone() {
    const TEST: &str = "tasks_that_wait_are_told_until_their_cgroup_is_gone";
    const UNIFIED: &str = "/sys/fs/cgroup/unified";
    if is_child() {
        let psi = told(WATCH);
        wait_for_sources(&[WATCH, "charge line"]);
        // It reads a file of three times the limit, again and again. Written in here, or its pages would be charged to others.
        let script = "exec 3<>\"$0\"; rm \"$0\"; dd if=/dev/zero bs=1M count=192 conv=fsync of=/proc/self/fd/3 2>/dev/null; \
                      while :; do cat /proc/self/fd/3 >/dev/null; done";
        let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("plimsoll-stalls-{}", std::process::id()));
        let reader = Command::new("sh").args(["-c", script]).arg(file).spawn();
        let reader = Holder(reader.unwrap());
        wait_until("a stall", || notices().stalls_total > 0);
        drop(reader);
        assert_eq!(finding("memory-pressure-watch"), None);

        fs::write(Path::new(UNIFIED).join("cgroup.procs"), "0").unwrap();
        let cgroup = psi.parent().unwrap();
        wait_until("an empty cgroup", || fs::remove_dir(cgroup).is_ok());
        wait_until("a finding", || finding("memory-pressure-watch").is_some());
        assert!(!notices().sources.contains(&WATCH));
        return;
    }
    let Some(limited) = Cgroup::new("stalls") else {
        return;
    };
    limited.set_limit(64 * MIB);
    let dir = Path::new(UNIFIED).join(format!("plimsoll-test-{}-stalls", std::process::id()));
    if !has_psi(&Path::new(UNIFIED).join("memory.pressure")) {
        return;
    }
    fs::create_dir(&dir).unwrap();
    let output = Command::new("sh")
        .args(["-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(&dir)
        .args(["sh", "-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(limited.dir())
        .arg(std::env::current_exe().unwrap())
        .args(child_args(TEST))
        .env(CHILD, "1")
        .env(WATCH, dir.join("memory.pressure"))
        // "some 1000 2000000" and a NUL: little is enough.
        .env(WRITE, "c29tZSAxMDAwIDIwMDAwMDAA")
        .output();
    // Gone already, unless the child has failed.
    let _ = fs::remove_dir(&dir);
    assert_success(&output.unwrap());
}
