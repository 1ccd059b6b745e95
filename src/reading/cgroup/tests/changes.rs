//! What happens to a resolved cgroup while it is held.

use std::fs;
use std::path::Path;

use super::{Cgroup, HOST_BYTES, LimitFact, LimitFile, MIB, copy_of, limit, problems_of};

fn docker_v2() -> (tempfile::TempDir, Cgroup) {
    let root = copy_of("docker_v2");
    let cgroup = Cgroup::resolve(root.path(), Some(HOST_BYTES));
    (root, cgroup)
}

fn write(root: &Path, file: &str, text: &str) {
    fs::write(root.join("sys/fs/cgroup").join(file), text).unwrap();
}

#[test]
fn the_charge_is_fresh_and_the_slow_facts_wait_for_a_refresh() {
    let (root, cgroup) = docker_v2();
    let level = &cgroup.levels()[0];
    write(root.path(), "memory.current", "94371840\n");
    write(root.path(), "memory.max", "268435456\n");
    write(
        root.path(),
        "memory.stat",
        "inactive_file 1048576\nactive_file 1048576\nfile_dirty 1048576\n",
    );
    let reading = level.read();
    assert_eq!(reading.charge_bytes, Some(90 * MIB));
    assert_eq!(reading.reclaimable_bytes, Some(37 * MIB));
    assert_eq!(reading.limit, limit(128, LimitFile::V2Max));

    assert!(cgroup.refresh(&mut Vec::new()));
    let reading = level.read();
    assert_eq!(reading.reclaimable_bytes, Some(MIB));
    assert_eq!(reading.used_bytes(), Some(89 * MIB));
    assert_eq!(reading.headroom_bytes(), Some(167 * MIB));
    assert_eq!(reading.limit, limit(256, LimitFile::V2Max));
}

#[test]
fn use_above_the_limit_leaves_no_headroom_and_cache_above_the_charge_no_use() {
    let (root, cgroup) = docker_v2();
    let level = &cgroup.levels()[0];
    write(root.path(), "memory.current", "1073741824\n");
    assert_eq!(level.read().headroom_bytes(), Some(0));
    write(root.path(), "memory.current", "1\n");
    assert_eq!(level.read().used_bytes(), Some(0));
    assert_eq!(level.read().headroom_bytes(), Some(128 * MIB));
}

/// A file that says nothing any more makes its fact unknown, and the refresh says so once: resolving anew notes the
/// problem, and the next refresh finds no more than that.
#[test]
fn what_breaks_becomes_unknown() {
    for (file, text) in [
        ("memory.current", ""),
        ("memory.max", ""),
        ("memory.high", "much\n"),
        ("memory.stat", "anon 1\n"),
        ("memory.stat", ""),
    ] {
        let (root, cgroup) = docker_v2();
        write(root.path(), file, text);
        assert!(!cgroup.refresh(&mut Vec::new()), "{file}");
        let reading = cgroup.levels()[0].read();
        match file {
            "memory.current" => assert_eq!(reading.used_bytes(), None),
            "memory.max" => assert_eq!(reading.limit, LimitFact::Unknown),
            "memory.high" => assert_eq!(reading.limit, limit(128, LimitFile::V2Max)),
            _ => assert_eq!(
                (reading.reclaimable_bytes, reading.used_bytes()),
                (None, Some(100 * MIB))
            ),
        }

        let resolved = Cgroup::resolve(root.path(), Some(HOST_BYTES));
        assert_eq!(problems_of(&resolved, root.path()).len(), 1);
        assert!(resolved.refresh(&mut Vec::new()), "{file}");
    }
}

/// The topmost level of v1 relies on `memory.stat` for the limits above it: without it they are unknown, not absent.
#[test]
fn an_inherited_limit_that_cannot_be_read_is_unknown() {
    let root = copy_of("kubernetes_pod_v1");
    let stat = root.path().join("sys/fs/cgroup/memory/memory.stat");
    let cgroup = Cgroup::resolve(root.path(), Some(HOST_BYTES));
    fs::write(&stat, "total_inactive_file 0\ntotal_active_file 0\n").unwrap();
    assert!(!cgroup.refresh(&mut Vec::new()));
    assert_eq!(cgroup.levels()[0].read().limit, LimitFact::Unknown);

    fs::remove_file(stat).unwrap();
    let cgroup = Cgroup::resolve(root.path(), Some(HOST_BYTES));
    assert_eq!(cgroup.levels()[0].read().limit, LimitFact::Unknown);
    assert_eq!(cgroup.problems().len(), 1);
}

#[test]
fn what_is_mended_is_worth_resolving_anew() {
    let root = copy_of("garbage");
    let cgroup = Cgroup::resolve(root.path(), Some(HOST_BYTES));
    assert!(cgroup.refresh(&mut Vec::new()));
    write(root.path(), "a/b/memory.max", "max\n");
    assert!(!cgroup.refresh(&mut Vec::new()));
}

#[test]
fn moving_the_process_is_noticed() {
    let (root, cgroup) = docker_v2();
    let membership = root.path().join("proc/self/cgroup");
    let mut scratch = Vec::new();
    assert!(!cgroup.membership_changed(&mut scratch));
    fs::write(&membership, "0::/fleet\n").unwrap();
    assert!(cgroup.membership_changed(&mut scratch));
    fs::write(&membership, "0::/\n").unwrap();
    assert!(!cgroup.membership_changed(&mut scratch));

    let empty = tempfile::tempdir().unwrap();
    assert!(!Cgroup::resolve(empty.path(), None).membership_changed(&mut scratch));
}
