//! The pure parts, line by line.

use std::path::Path;

use crate::reading::cgroup::facts::AtomicBytes;
use crate::reading::cgroup::paths::{CgroupPath, Hierarchy, memory_membership, memory_mounts};
use crate::reading::cgroup::stat::{UNLIMITED_BYTES, parse_limit_bytes, value};
use crate::reading::cgroup::{LimitFact, LimitFile, v1, v2};
use Hierarchy::{V1, V2};

#[test]
fn membership_lines() {
    let table: [(&str, Option<(Hierarchy, &str)>); 12] = [
        ("4:memory:/a\n0::/b\n", Some((V1, "/a"))),
        ("0::/b\n4:memory:/a\n", Some((V1, "/a"))),
        ("4:cpu,memory:/a", Some((V1, "/a"))),
        ("4:memory,cpu:/a", Some((V1, "/a"))),
        (
            "4:memory_recorder:/a\n5:name=memory:/b\n0::/c",
            Some((V2, "/c")),
        ),
        ("0::/a:b: c", Some((V2, "/a:b: c"))),
        ("0::/a (deleted)\n", Some((V2, "/a (deleted)"))),
        ("0::/first\n0::/second\n", Some((V2, "/first"))),
        ("3::/a\n", None),
        ("0:memory\n", None),
        ("\n\n:\n", None),
        ("", None),
    ];
    for (text, expected) in table {
        let expected = expected.map(|(hierarchy, path)| (hierarchy, path.as_bytes()));
        assert_eq!(memory_membership(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn mount_lines() {
    let table = [
        (
            "35 31 0:32 / /m rw,relatime - cgroup cgroup rw,memory",
            V1,
            Some(("/", "/m")),
        ),
        (
            "35 31 0:32 / /m rw shared:1 master:2 - cgroup cgroup rw,cpu,memory",
            V1,
            Some(("/", "/m")),
        ),
        (
            "35 31 0:32 /r\\040s /m\\011\\012\\134\\043 rw - cgroup c rw,memory",
            V1,
            Some(("/r s", "/m\t\n\\#")),
        ),
        (
            "35 31 0:32 /\\x /m\\08 rw - cgroup c rw,memory",
            V1,
            Some(("/\\x", "/m\\08")),
        ),
        ("35 31 0:32 / /m rw -  cgroup rw,memory", V1, None),
        (
            "35 31 0:32 / /m rw - cgroup  rw,memory",
            V1,
            Some(("/", "/m")),
        ),
        ("35 31 0:32 / /m rw - cgroup cgroup rw,cpu", V1, None),
        (
            "35 31 0:32 / /m rw,memory - cgroup cgroup rw,name=memory",
            V1,
            None,
        ),
        ("35 31 0:32 / /m rw - cgroup2 cgroup2 rw,memory", V1, None),
        ("35 31 0:32 / /m rw - cgroup cgroup rw,memory", V2, None),
        (
            "35 31 0:32 /../.. /m rw - cgroup2 none rw",
            V2,
            Some(("/../..", "/m")),
        ),
        ("35 31 0:32 / /m rw - cgroup2 none", V2, None),
        ("35 31 0:32 / /m rw shared:1 cgroup2 none rw", V2, None),
        ("35 31 0:32", V2, None),
        ("", V2, None),
    ];
    for (line, hierarchy, expected) in table {
        let mounts = memory_mounts(line.as_bytes(), hierarchy);
        let found = mounts
            .first()
            .map(|mount| (mount.root.as_slice(), mount.point.as_slice()));
        assert_eq!(
            found,
            expected.map(|(root, point)| (root.as_bytes(), point.as_bytes())),
            "{line:?}"
        );
    }
}

#[test]
fn the_last_mount_at_a_point_hides_the_others() {
    let line = |root, point| format!("1 2 0:3 {root} {point} rw - cgroup2 none rw\n");
    let text = line("/a", "/m") + &line("/b", "/n") + &line("/c", "/m");
    let roots: Vec<_> = memory_mounts(text.as_bytes(), V2)
        .into_iter()
        .map(|mount| mount.root)
        .collect();
    assert_eq!(roots, [b"/b", b"/c"]);
}

#[test]
fn own_directory_below_the_mount_point() {
    let table = [
        ("/docker/x", "/", Some((0, "/m/docker/x"))),
        ("/docker/x", "/docker/x", Some((0, "/m"))),
        ("/docker/x/y", "/docker/x", Some((0, "/m/y"))),
        ("/docker/xy", "/docker/x", None),
        ("/docker", "/docker/x", None),
        ("/", "/", Some((0, "/m"))),
        ("/", "/..", Some((1, "/m"))),
        ("/x", "/../..", Some((2, "/m/x"))),
        ("/../y", "/..", Some((0, "/m/y"))),
        ("/../y", "/../y", Some((0, "/m"))),
        ("/../y", "/../../..", Some((2, "/m/y"))),
        ("/../y", "/", None),
        ("/x", "/../y", None),
        ("/..", "/../..", Some((1, "/m"))),
    ];
    for (own, root, expected) in table {
        let own_path = CgroupPath::parse(own.as_bytes()).unwrap();
        let mount_root = CgroupPath::parse(root.as_bytes()).unwrap();
        let below = own_path.below(&mount_root);
        let found = below.map(|below| (below.hidden, below.follow(Path::new("/m"))));
        assert_eq!(
            found,
            expected.map(|(hidden, dir)| (hidden, dir.into())),
            "{own} in {root}"
        );
    }
}

#[test]
fn paths_that_no_kernel_writes() {
    for path in ["", "a", "a/b", "/a/..", "/../a/..", "/./a", "/a/."] {
        assert_eq!(CgroupPath::parse(path.as_bytes()), None, "{path:?}");
    }
    assert_eq!(CgroupPath::parse(b"//a//b/"), CgroupPath::parse(b"/a/b"));
}

#[test]
fn ancestors_by_name_and_above_the_namespace() {
    let own = CgroupPath::parse(b"/a/b").unwrap();
    let shown: Vec<_> = (0..4)
        .map(|levels| own.ancestor(levels).to_string())
        .collect();
    assert_eq!(shown, ["/a/b", "/a", "/", "/.."]);
}

#[test]
fn limit_texts() {
    let table = [
        ("max\n", Some(UNLIMITED_BYTES)),
        ("max", Some(UNLIMITED_BYTES)),
        ("0\n", Some(0)),
        ("67108864\n", Some(64 << 20)),
        ("9223372036854771712", Some(9_223_372_036_854_771_712)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("", None),
        ("\n", None),
        ("1\n\n", None),
        ("+1", None),
        ("-1", None),
        (" 1", None),
        ("64M", None),
        ("maximum", None),
    ];
    for (text, expected) in table {
        assert_eq!(parse_limit_bytes(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn stat_keys_match_whole_and_cover_descendants() {
    let stat = b"inactive_file 1\nactive_file 2\nfile_dirty 1\ntotal_inactive_file 40\ntotal_active_file 9\n";
    assert_eq!(
        value(b"active_filex7\nactive_file 3", "active_file"),
        Some(3)
    );
    assert_eq!(value(stat, "file"), None);
    assert_eq!(value(stat, "active"), None);
    assert_eq!(value(stat, "active_file"), Some(2));
    assert_eq!(v2::DIALECT.cache_keys.reclaimable_bytes(stat), Some(2));
    assert_eq!(v1::DIALECT.cache_keys.reclaimable_bytes(stat), Some(49));

    let unwritten =
        b"total_inactive_file 40\ntotal_active_file 9\ntotal_dirty 4\ntotal_writeback 3";
    assert_eq!(
        v1::DIALECT.cache_keys.reclaimable_bytes(unwritten),
        Some(42)
    );
    assert_eq!(
        v1::DIALECT
            .cache_keys
            .reclaimable_bytes(b"total_inactive_file 40"),
        None
    );
}

#[test]
fn the_tightest_known_number_wins_in_any_order() {
    let (max, high) = (LimitFile::V2Max, LimitFile::V2High);
    let bytes = |bytes, file| LimitFact::Bytes { bytes, file };
    let table = [
        (Some(10), Some(20), bytes(10, max)),
        (Some(20), Some(10), bytes(10, high)),
        (Some(10), Some(10), bytes(10, max)),
        (Some(10), Some(100), bytes(10, max)),
        (Some(100), Some(10), bytes(10, high)),
        (Some(100), Some(UNLIMITED_BYTES), LimitFact::None),
        (Some(0), None, bytes(0, max)),
        (None, Some(99), bytes(99, high)),
        (None, Some(100), LimitFact::Unknown),
        (Some(100), None, LimitFact::Unknown),
        (None, None, LimitFact::Unknown),
    ];
    for (max_bytes, high_bytes, expected) in table {
        let numbers = [(max, max_bytes), (high, high_bytes)];
        assert_eq!(
            LimitFact::tightest(numbers.into_iter(), 100),
            expected,
            "{numbers:?}"
        );
    }
}

#[test]
fn a_stored_number_is_never_the_sentinel() {
    let stored = AtomicBytes::unknown();
    assert_eq!(stored.load(), None);
    for (bytes, expected) in [
        (Some(7), Some(7)),
        (Some(u64::MAX), Some(u64::MAX - 1)),
        (None, None),
    ] {
        stored.store(bytes);
        assert_eq!(stored.load(), expected);
    }
}
