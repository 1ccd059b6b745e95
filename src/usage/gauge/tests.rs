//! The gauge on trees of files: which limit holds, which binds, and what happens when files break.

use std::fs;
use std::path::PathBuf;

use super::*;

const MIB: u64 = 1 << 20;
/// Longer than any test.
const RECENT: Duration = Duration::from_secs(600);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/cgroup")
        .join(name)
}

fn builder(bytes: u64) -> Option<LimitSetting> {
    Some(LimitSetting {
        bytes,
        source: LimitSource::Builder,
    })
}

fn cgroup(version: CgroupVersion, file: &'static str, ancestor: u8) -> LimitSource {
    LimitSource::Cgroup {
        version,
        file,
        ancestor,
    }
}

#[test]
fn the_cgroups_limit_is_found_and_named() {
    let usage = Gauge::open(&fixture("docker_v2"), None).usage();
    assert_eq!(
        usage.limit.source,
        cgroup(CgroupVersion::V2, "memory.max", 0)
    );
    let binding = usage.binding.unwrap();
    assert_eq!(usage.limit.bytes, Some(binding.limit_bytes));
    assert_eq!(usage.used_bytes, binding.used_bytes);
    assert_eq!(usage.percent(), Some(binding.percent()));
    assert_eq!(
        usage.headroom_bytes(),
        Some(binding.limit_bytes - binding.used_bytes)
    );
}

#[test]
fn a_tighter_limit_set_by_a_person_wins_and_counts_rss() {
    let usage = Gauge::open(&fixture("docker_v2"), builder(3 * MIB)).usage();
    assert_eq!(
        (usage.limit.bytes, usage.limit.source),
        (Some(3 * MIB), LimitSource::Builder)
    );
    assert_eq!(
        usage.used_bytes,
        usage.rss_bytes + usage.swap_bytes.unwrap_or(0)
    );
}

#[test]
fn a_full_parent_binds_though_the_childs_limit_is_tighter() {
    let usage = Gauge::open(&fixture("small_child_under_full_parent"), None).usage();
    let binding = usage.binding.unwrap();
    assert!(matches!(
        usage.limit.source,
        LimitSource::Cgroup { ancestor: 0, .. }
    ));
    assert!(matches!(
        binding.source,
        LimitSource::Cgroup { ancestor: 1, .. }
    ));
    assert!(binding.headroom_bytes() < usage.limit.bytes.unwrap() - usage.used_bytes);
}

#[test]
fn without_any_limit_the_host_is_the_limit() {
    for name in ["no_limit_v1", "no_limit_v2"] {
        let usage = Gauge::open(&fixture(name), None).usage();
        assert_eq!(usage.limit.source, LimitSource::Host, "{name}");
        assert_eq!(usage.limit.bytes, usage.system_total_bytes);
    }
}

#[test]
fn without_proc_the_rss_is_the_peak_and_a_problem_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let gauge = Gauge::open(empty.path(), builder(64 * MIB));
    let usage = gauge.usage();
    assert!(usage.rss_bytes > 0 && usage.rss_bytes == usage.peak_rss_bytes);
    assert_eq!(usage.swap_bytes, None);
    assert!(
        gauge
            .problems()
            .iter()
            .any(|problem| problem.contains("statm"))
    );
}

#[test]
fn a_file_that_breaks_and_is_mended_is_followed_at_the_next_refresh() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sys/fs/cgroup/job");
    fs::create_dir_all(&dir).unwrap();
    fs::create_dir_all(root.path().join("proc/self")).unwrap();
    fs::write(root.path().join("proc/self/cgroup"), "0::/job\n").unwrap();
    fs::write(
        root.path().join("proc/self/mountinfo"),
        "30 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    )
    .unwrap();
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
    write("memory.max", "67108864\n");
    write("memory.high", "max\n");
    write("memory.current", "33554432\n");
    write(
        "memory.stat",
        "inactive_file 4194304\nactive_file 0\nfile_dirty 0\nfile_writeback 0\n",
    );

    let gauge = Gauge::open(root.path(), None);
    assert_eq!(
        (gauge.usage().limit.bytes, gauge.usage().used_bytes),
        (Some(64 * MIB), 28 * MIB)
    );
    // The charge is fresh at every call, the limit at the next refresh, page cache also where the slow facts are recent enough.
    write("memory.current", "44040192\n");
    write("memory.max", "134217728\n");
    assert_eq!(
        (gauge.usage().limit.bytes, gauge.usage().used_bytes),
        (Some(64 * MIB), 38 * MIB)
    );
    let stat = "inactive_file 2097152\nactive_file 0\nfile_dirty 0\nfile_writeback 0\n";
    write("memory.stat", stat);
    gauge.refresh(RECENT);
    assert_eq!(
        (gauge.usage().limit.bytes, gauge.usage().used_bytes),
        (Some(64 * MIB), 40 * MIB)
    );
    // Where that can't be told all is read anew; what can't be told is no cache.
    write("memory.stat", "");
    gauge.refresh(RECENT);
    assert_eq!(
        (gauge.usage().limit.bytes, gauge.usage().used_bytes),
        (Some(128 * MIB), 42 * MIB)
    );
    write("memory.stat", stat);
    gauge.refresh(Duration::ZERO);
    assert_eq!(gauge.usage().used_bytes, 40 * MIB);
    // Garbage is unknown: not unlimited, and not the host's memory.
    write("memory.max", "a lot\n");
    gauge.refresh(Duration::ZERO);
    let usage = gauge.usage();
    assert_eq!(usage.limit, Limit::UNKNOWN);
    assert_eq!((usage.percent(), usage.headroom_bytes()), (None, None));
    assert!(usage.to_string().contains("of an unknown limit"), "{usage}");
    assert!(
        gauge.problems()[0].contains("memory.max"),
        "{:?}",
        gauge.problems()
    );
    // Mended, and gone with the whole cgroup.
    write("memory.max", "67108864\n");
    gauge.refresh(Duration::ZERO);
    assert_eq!(gauge.usage().limit.bytes, Some(64 * MIB));
    assert!(
        gauge
            .problems()
            .iter()
            .all(|problem| !problem.contains("memory.max"))
    );
    fs::remove_file(dir.join("memory.current")).unwrap();
    fs::write(root.path().join("proc/self/cgroup"), "0::/\n").unwrap();
    gauge.refresh(Duration::ZERO);
    assert_eq!(gauge.usage().limit.source, LimitSource::Host);
}

#[test]
fn slow_facts_carry_their_age_and_a_refresh_renews_them() {
    let gauge = Gauge::open(Path::new("/"), None);
    std::thread::sleep(Duration::from_millis(20));
    assert!(gauge.usage().slow_facts_age_ms >= 20);
    let before = gauge.state.read().slow.taken;
    gauge.refresh(Duration::ZERO);
    assert!(gauge.state.read().slow.taken > before);
}
