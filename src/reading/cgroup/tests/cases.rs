//! One table: the levels, limits, use and problems of each fixture.

use std::fs;
use std::path::Path;

use super::{
    Cgroup, GIB, HOST_BYTES, KIB, LimitFact, LimitFile, MIB, copy_of, fixture, limit, problems_of,
};
use LimitFile::{V1Hierarchical, V1Limit, V2High, V2Max};

pub(super) const ID: &str = "6f1d0e4a7c1b2a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293";
const POD_V1: &str = "/kubepods/burstable/pod2f5a1a8e-9d0c-4d6d-8f0e-1a2b3c4d5e6f";
const QOS_V2: &str = "/kubepods.slice/kubepods-burstable.slice";
const POD_V2: &str = "kubepods-burstable-pod2f5a1a8e_9d0c_4d6d_8f0e_1a2b3c4d5e6f.slice";

/// Number of the ancestor, path, limit, and what is used of it.
pub(super) type ExpectedLevel = (u8, String, LimitFact, Option<u64>);

pub(super) struct Case {
    pub(super) fixture: &'static str,
    levels: Vec<ExpectedLevel>,
    /// The ancestor with the least headroom.
    tightest: Option<u8>,
    problems: Vec<String>,
}

pub(super) fn level(
    ancestor: u8,
    path: impl Into<String>,
    limit: LimitFact,
    used_bytes: u64,
) -> ExpectedLevel {
    (ancestor, path.into(), limit, Some(used_bytes))
}

pub(super) fn unlimited(ancestor: u8, path: impl Into<String>) -> ExpectedLevel {
    (ancestor, path.into(), LimitFact::None, None)
}

pub(super) fn case(
    fixture: &'static str,
    tightest: impl Into<Option<u8>>,
    levels: impl Into<Vec<ExpectedLevel>>,
) -> Case {
    Case {
        fixture,
        levels: levels.into(),
        tightest: tightest.into(),
        problems: Vec::new(),
    }
}

impl Case {
    pub(super) fn with_problems<const N: usize>(
        mut self,
        problems: [impl Into<String>; N],
    ) -> Case {
        self.problems = problems.map(Into::into).into();
        self
    }

    pub(super) fn check(&self, root: &Path) {
        let cgroup = Cgroup::resolve(root, Some(HOST_BYTES));
        let readings: Vec<_> = cgroup
            .levels()
            .iter()
            .map(|level| (level, level.read()))
            .collect();
        let levels: Vec<ExpectedLevel> = readings
            .iter()
            .map(|(level, reading)| {
                (
                    level.ancestor(),
                    level.path().into(),
                    reading.limit,
                    reading.used_bytes(),
                )
            })
            .collect();
        assert_eq!(levels, self.levels, "{}", self.fixture);
        let tightest = readings
            .iter()
            .filter_map(|(level, reading)| Some((reading.headroom_bytes()?, level.ancestor())))
            .min()
            .map(|(_, ancestor)| ancestor);
        assert_eq!(tightest, self.tightest, "{}", self.fixture);
        assert_eq!(
            problems_of(&cgroup, root),
            self.problems,
            "{}",
            self.fixture
        );
    }
}

fn containers() -> Vec<Case> {
    let docker_v1_used = 35 * MIB + 512 * KIB;
    vec![
        case(
            "docker_v1",
            0,
            [level(
                0,
                format!("/docker/{ID}"),
                limit(64, V1Limit),
                docker_v1_used,
            )],
        ),
        case(
            "docker_v1_private_ns",
            0,
            [level(0, "/", limit(64, V1Limit), docker_v1_used)],
        ),
        case("docker_v2", 0, [level(0, "/", limit(128, V2Max), 63 * MIB)]),
        case(
            "kubernetes_pod_v1",
            0,
            [level(
                0,
                format!("{POD_V1}/{ID}"),
                limit(512, V1Hierarchical),
                240 * MIB,
            )],
        ),
        case(
            "kubernetes_pod_v2",
            1,
            [
                level(
                    0,
                    format!("{QOS_V2}/{POD_V2}/cri-containerd-{ID}.scope"),
                    limit(512, V2Max),
                    276 * MIB,
                ),
                level(
                    1,
                    format!("{QOS_V2}/{POD_V2}"),
                    limit(1024, V2Max),
                    844 * MIB,
                ),
                unlimited(2, QOS_V2),
                level(
                    3,
                    "/kubepods.slice",
                    limit(7 * 1024, V2Max),
                    3 * GIB + 16 * MIB,
                ),
                unlimited(4, "/"),
            ],
        ),
        case(
            "lxc",
            2,
            [
                unlimited(0, "/system.slice/app.service"),
                unlimited(1, "/system.slice"),
                level(2, "/", limit(1024, V1Hierarchical), 750 * MIB),
            ],
        ),
    ]
}

fn hosts() -> Vec<Case> {
    vec![
        case(
            "systemd_slice_nested",
            1,
            [
                unlimited(0, "/system.slice/feeds.slice/feeds-collector.service"),
                level(1, "/system.slice/feeds.slice", limit(768, V2Max), 690 * MIB),
                unlimited(2, "/system.slice"),
                unlimited(3, "/"),
            ],
        ),
        case(
            "hybrid",
            0,
            [
                level(
                    0,
                    "/system.slice/feeds.service",
                    limit(256, V1Limit),
                    156 * MIB,
                ),
                unlimited(1, "/system.slice"),
                unlimited(2, "/"),
            ],
        ),
        case(
            "no_limit_v1",
            None,
            [unlimited(0, "/user.slice"), unlimited(1, "/")],
        ),
        case(
            "no_limit_v2",
            None,
            [unlimited(0, "/user.slice"), unlimited(1, "/")],
        ),
        case(
            "small_child_under_full_parent",
            1,
            [
                level(0, "/fleet/collector", limit(512, V2Max), 56 * MIB),
                level(1, "/fleet", limit(1024, V2Max), 996 * MIB),
                unlimited(2, "/"),
            ],
        ),
        // More is dirty than is cached as a file: nothing to take off. Equal numbers: `max` is the harder one.
        case(
            "memory_high",
            0,
            [
                level(0, "/fleet/collector", limit(192, V2High), 100 * MIB),
                level(1, "/fleet", limit(512, V2Max), 300 * MIB),
                unlimited(2, "/"),
            ],
        ),
        case(
            "use_hierarchy_off",
            0,
            [level(0, "/batch/job", limit(128, V1Limit), 90 * MIB)],
        ),
    ]
}

fn odd_mounts() -> Vec<Case> {
    vec![
        case(
            "namespace_dotdot",
            0,
            [
                level(0, "/worker", limit(200, V1Limit), 175 * MIB),
                level(1, "/", limit(400, V1Limit), 350 * MIB),
                level(2, "/..", limit(800, V1Limit), 700 * MIB),
                unlimited(3, "/../.."),
            ],
        ),
        case(
            "several_mounts",
            0,
            [
                level(0, "/batch/job", limit(128, V1Limit), 90 * MIB),
                level(1, "/batch", limit(640, V1Limit), 500 * MIB),
                unlimited(2, "/"),
            ],
        ),
        case(
            "controller_elsewhere",
            2,
            [
                level(1, "/batch/job", limit(160, V2Max), 80 * MIB),
                level(2, "/batch", limit(256, V2Max), 200 * MIB),
            ],
        ),
    ]
}

fn broken() -> Vec<Case> {
    let unknown = LimitFact::Unknown;
    vec![
        case(
            "garbage",
            2,
            [
                (0, "/a/b/c".into(), limit(200, V2High), None),
                (1, "/a/b".into(), unknown, None),
                level(2, "/a", limit(0, V2Max), 100 * MIB),
                unlimited(3, "/"),
            ],
        )
        .with_problems([
            "sys/fs/cgroup/a/b/c/memory.max: holds no number of bytes",
            "sys/fs/cgroup/a/b/c/memory.stat: lacks the keys that say how much can be reclaimed or is inherited",
            "sys/fs/cgroup/a/b/c/memory.current: holds no number of bytes",
            "sys/fs/cgroup/a/b/memory.max: holds no number of bytes",
            "sys/fs/cgroup/a/b/memory.high: holds no number of bytes",
        ]),
        // Without `memory.stat` the whole charge counts.
        case(
            "missing_files",
            2,
            [
                (0, "/a/b/c".into(), unknown, None),
                (1, "/a/b".into(), limit(1024, V2Max), None),
                level(2, "/a", limit(1024, V2Max), 100 * MIB),
                unlimited(3, "/"),
            ],
        )
        .with_problems([
            "sys/fs/cgroup/a/b/c/memory.max: cannot be read: No such file or directory (os error 2)",
            "sys/fs/cgroup/a/b/memory.current: cannot be read: No such file or directory (os error 2)",
            "sys/fs/cgroup/a/memory.stat: cannot be read: No such file or directory (os error 2)",
        ]),
    ]
}

#[test]
fn every_fixture_reads_as_stated() {
    for case in [containers(), hosts(), odd_mounts(), broken()]
        .iter()
        .flatten()
    {
        case.check(&fixture(case.fixture));
    }
}

/// The directory gets its colon only here: not every system can check out such a name.
#[test]
fn colons_and_spaces_are_legal_in_paths_and_mount_points() {
    let root = copy_of("colon_and_space");
    let parent = root.path().join("sys/fs/cgroup/memory tree/batch jobs");
    fs::rename(parent.join("COLON"), parent.join("cri:nightly build:7")).unwrap();
    case(
        "colon_and_space",
        0,
        [
            level(
                0,
                "/batch jobs/cri:nightly build:7",
                limit(128, V1Limit),
                90 * MIB,
            ),
            level(1, "/batch jobs", limit(600, V1Limit), 400 * MIB),
            unlimited(2, "/"),
        ],
    )
    .check(root.path());
}

/// The own cgroup's `use_hierarchy` is about its children, not about itself.
#[test]
fn a_cgroup_that_does_not_count_its_children_counts_itself() {
    let root = copy_of("use_hierarchy_off");
    let own = root.path().join("sys/fs/cgroup/memory/batch/job");
    fs::write(own.join("memory.use_hierarchy"), "0\n").unwrap();
    case(
        "use_hierarchy_off",
        0,
        [level(0, "/batch/job", limit(128, V1Limit), 90 * MIB)],
    )
    .check(root.path());
}

/// With the machine's memory unknown only what no machine has is no limit.
#[test]
fn without_host_memory_only_huge_numbers_are_no_limit() {
    for (host_total_bytes, fixture_name, expected) in [
        (
            None,
            "no_limit_v1",
            [limit(24 * 1024, V1Limit), LimitFact::None],
        ),
        (
            Some(0),
            "no_limit_v1",
            [limit(24 * 1024, V1Limit), LimitFact::None],
        ),
        (
            None,
            "no_limit_v2",
            [limit(25 * 1024, V2High), LimitFact::None],
        ),
        (
            Some(HOST_BYTES + 1),
            "no_limit_v1",
            [limit(24 * 1024, V1Limit), LimitFact::None],
        ),
        (
            Some(HOST_BYTES),
            "no_limit_v1",
            [LimitFact::None, LimitFact::None],
        ),
    ] {
        let cgroup = Cgroup::resolve(&fixture(fixture_name), host_total_bytes);
        let limits: Vec<_> = cgroup
            .levels()
            .iter()
            .map(|level| level.read().limit)
            .collect();
        assert_eq!(limits, expected, "{fixture_name} on {host_total_bytes:?}");
    }
}
