//! Real memory cgroups of version 1: each test makes its own below `/sys/fs/cgroup/memory` and runs itself inside.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use plimsoll::{CgroupVersion, LimitSource, PressureLevel, get_memory_manager};
use support::cgroup::Cgroup;
use support::{CHILD, assert_success, child_args, is_child, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

/// This test binary, to run only `test`, as a process that starts its life in `cgroup`.
fn child_in(cgroup: &Cgroup, test: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(cgroup.dir())
        .arg(std::env::current_exe().unwrap())
        .args(child_args(test))
        .env(CHILD, "1");
    command
}

/// Where the running child of a test finds what the test tells it.
fn told(name: &str) -> PathBuf {
    std::env::var_os(name).map(PathBuf::from).unwrap()
}

#[test]
fn a_file_of_twice_the_limit_read_twice_is_not_memory_in_use() {
    const TEST: &str = "a_file_of_twice_the_limit_read_twice_is_not_memory_in_use";
    if is_child() {
        // Written in here, or its pages would be charged to whoever wrote them. On a disk: a tmpfs can't be reclaimed.
        let mut block = vec![1u8; 1 << 20];
        let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for _ in 0..128 {
            file.write_all(&block).unwrap();
        }
        file.as_file().sync_all().unwrap();
        for _ in 0..2 {
            let mut file = file.reopen().unwrap();
            while file.read(&mut block).unwrap() > 0 {}
        }
        let manager = get_memory_manager();
        let usage = manager.usage();
        let charged = fs::read_to_string(told("CGROUP").join("memory.usage_in_bytes")).unwrap();
        let charged: u64 = charged.trim().parse().unwrap();
        // The page cache fills the cgroup, and does not count.
        assert!(charged > 40 * MIB, "{charged} bytes charged");
        assert!(usage.percent().unwrap() < 35.0, "{usage}");
        assert_eq!(usage.limit.bytes, Some(64 * MIB));
        assert_eq!(
            usage.limit.source,
            LimitSource::Cgroup {
                version: CgroupVersion::V1,
                file: "memory.limit_in_bytes",
                ancestor: 0
            }
        );
        assert!(
            manager
                .stats()
                .binding_cgroup
                .unwrap()
                .contains("plimsoll-test-")
        );
        return;
    }
    let Some(cgroup) = Cgroup::new("file") else {
        return;
    };
    cgroup.set_limit(64 * MIB);
    let output = child_in(&cgroup, TEST).env("CGROUP", cgroup.dir()).output();
    assert_success(&output.unwrap());
}

/// A process in `cgroup` that holds `mib` MiB until its input closes.
fn hold(cgroup: &Cgroup, test: &str, mib: u64) -> Child {
    let mut child = child_in(cgroup, test)
        .env("HOLD_MIB", mib.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    let mut byte = [0];
    while !printed.ends_with("holding\n") {
        assert_eq!(
            stdout.read(&mut byte).unwrap(),
            1,
            "the holder ended: {printed}"
        );
        printed.push(char::from(byte[0]));
    }
    child
}

#[test]
fn a_small_child_under_a_full_parent_sees_the_parent() {
    const TEST: &str = "a_small_child_under_a_full_parent_sees_the_parent";
    if is_child() {
        if let Some(mib) = std::env::var_os("HOLD_MIB") {
            let held = vec![1u8; mib.to_str().unwrap().parse::<usize>().unwrap() << 20];
            println!("holding");
            let _ = std::io::stdin().read(&mut [0]);
            drop(held);
            return;
        }
        let usage = get_memory_manager().usage();
        assert_eq!(
            usage.limit.bytes,
            Some(64 * MIB),
            "the tightest limit is its own: {usage}"
        );
        let binding = usage.binding.unwrap();
        assert!(
            matches!(
                binding.source,
                LimitSource::Cgroup {
                    version: CgroupVersion::V1,
                    ancestor: 1,
                    ..
                }
            ),
            "{usage}"
        );
        assert_eq!(binding.limit_bytes, 128 * MIB);
        assert!(usage.percent().unwrap() > 80.0, "{usage}");
        assert!(usage.headroom_bytes().unwrap() < 25 * MIB, "{usage}");
        assert!(usage.to_string().contains("of the parent"), "{usage}");
        return;
    }
    let Some(parent) = Cgroup::new("parent") else {
        return;
    };
    parent.set_limit(128 * MIB);
    let full = parent.below("full");
    let small = parent.below("small");
    small.set_limit(64 * MIB);
    let mut holder = hold(&full, TEST, 105);
    let output = child_in(&small, TEST).output();
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_success(&output.unwrap());
}

#[test]
fn a_resize_and_a_move_are_noticed_while_running() {
    const TEST: &str = "a_resize_and_a_move_are_noticed_while_running";
    if is_child() {
        let (first, second) = (told("FIRST"), told("SECOND"));
        let manager = get_memory_manager();
        let limit = || manager.usage().limit.bytes;
        let resize = |mib: u64| {
            fs::write(first.join("memory.limit_in_bytes"), (mib * MIB).to_string()).unwrap()
        };
        assert_eq!(limit(), Some(256 * MIB));
        resize(512);
        wait_until("a larger limit", || limit() == Some(512 * MIB));
        // What is charged from here on fills a limit that shrinks under it.
        let held = vec![1u8; 100 << 20];
        resize(110);
        wait_until("a high level", || manager.pressure() >= PressureLevel::High);
        resize(512);
        wait_until("a normal level", || {
            manager.pressure() == PressureLevel::Normal
        });
        drop(held);
        fs::write(second.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        wait_until("the other cgroup's limit", || limit() == Some(300 * MIB));
        // The cgroup that was left can go; nothing here holds on to it.
        fs::remove_dir(&first).unwrap();
        wait_until("a second look", || manager.usage().slow_facts_age_ms < 500);
        assert_eq!(limit(), Some(300 * MIB));
        assert!(
            manager
                .findings()
                .iter()
                .all(|finding| finding.code != "reading-failed"),
            "{:?}",
            manager.findings()
        );
        fs::create_dir(&first).unwrap();
        return;
    }
    let (Some(first), Some(second)) = (Cgroup::new("first"), Cgroup::new("second")) else {
        return;
    };
    first.set_limit(256 * MIB);
    second.set_limit(300 * MIB);
    let output = child_in(&first, TEST)
        .env("FIRST", first.dir())
        .env("SECOND", second.dir())
        .output();
    assert_success(&output.unwrap());
}

#[test]
fn a_limit_in_code_above_the_cgroups_is_a_finding_and_the_cgroup_binds() {
    const TEST: &str = "a_limit_in_code_above_the_cgroups_is_a_finding_and_the_cgroup_binds";
    if is_child() {
        let manager = plimsoll::MemoryManager::builder()
            .limit(plimsoll::ByteSize::gib(1))
            .build()
            .unwrap();
        assert_eq!(manager.usage().limit.bytes, Some(64 * MIB));
        let finding = manager
            .findings()
            .into_iter()
            .find(|finding| finding.code == "limit-above-cgroup");
        assert!(finding.unwrap().message.contains("64.0 MiB"));
        return;
    }
    let Some(cgroup) = Cgroup::new("small") else {
        return;
    };
    cgroup.set_limit(64 * MIB);
    assert_success(&child_in(&cgroup, TEST).output().unwrap());
}
