//! A process that is not where the mount shows, and trees that show nothing. The fixtures are changed for it.

use std::fs;

use super::cases::{ID, case, level, unlimited};
use super::{KIB, MIB, copy_of, limit};
use crate::reading::cgroup::LimitFile::{V1Limit, V2Max};

/// A fixture with another `/proc/self/cgroup`: where the process is not where the mount shows.
#[test]
fn a_process_that_the_mount_does_not_show() {
    let memory = "sys/fs/cgroup/memory";
    let own = |path: &str| [level(0, path, limit(64, V1Limit), 35 * MIB + 512 * KIB)];
    let host_view = format!("4:memory:/docker/{ID}\n");
    for (membership, case) in [
        // The mount belongs to the container, the path to the host: what the mount shows is above the process or is it.
        (
            host_view.as_str(),
            case(
                "docker_v1_private_ns",
                2,
                [level(2, "/", limit(64, V1Limit), 35 * MIB + 512 * KIB)],
            )
            .with_problems([format!(
                "{memory}/docker/{ID}: should be this process's own cgroup, but is no directory"
            )]),
        ),
        (
            "4:memory:/elsewhere\n",
            case("docker_v1", 0, own(&format!("/docker/{ID}"))).with_problems([
                "sys/fs/cgroup/memory: is a mount that does not show this process's own cgroup",
            ]),
        ),
        (
            "4:memory:/../sibling\n",
            case("docker_v1_private_ns", None, []).with_problems([
                "sys/fs/cgroup/memory: is a mount that does not show this process's own cgroup",
            ]),
        ),
        (
            "4:memory:/a/../b\n",
            case("docker_v1_private_ns", None, [])
                .with_problems(["proc/self/cgroup: names a cgroup path that cannot be followed"]),
        ),
        // In no memory cgroup, or in one whose mount is not there.
        ("3:cpu:/\n", case("docker_v1_private_ns", None, [])),
        ("0::/\n", case("docker_v1_private_ns", None, [])),
        ("", case("docker_v1_private_ns", None, [])),
    ] {
        let root = copy_of(case.fixture);
        fs::write(root.path().join("proc/self/cgroup"), membership).unwrap();
        case.check(root.path());
    }
}

/// The kernel marks a removed cgroup of v2; its ancestors go on to count.
#[test]
fn a_deleted_cgroup_leaves_its_ancestors() {
    let root = copy_of("small_child_under_full_parent");
    fs::write(
        root.path().join("proc/self/cgroup"),
        "0::/fleet/collector (deleted)\n",
    )
    .unwrap();
    case(
        "small_child_under_full_parent",
        1,
        [level(1, "/fleet", limit(1024, V2Max), 996 * MIB), unlimited(2, "/")],
    )
    .with_problems([
        "sys/fs/cgroup/fleet/collector (deleted): should be this process's own cgroup, but is no directory",
    ])
    .check(root.path());
}

/// Above the namespace, but `cgroup.procs` does not name the process: what the mount point shows is an ancestor still.
#[test]
fn a_hidden_cgroup_that_is_not_found() {
    let root = copy_of("namespace_dotdot");
    fs::write(root.path().join("proc/self/stat"), "7 (service) S 1").unwrap();
    case("namespace_dotdot", None, [unlimited(3, "/../..")])
        .with_problems([
            "sys/fs/cgroup/memory: shows cgroups above the namespace, but this process is in none found",
        ])
        .check(root.path());
}

#[test]
fn nothing_readable_is_a_problem_and_no_panic() {
    let root = tempfile::tempdir().unwrap();
    case("", None, [])
        .with_problems(["proc/self/cgroup: cannot be read: No such file or directory (os error 2)"])
        .check(root.path());

    let root = copy_of("docker_v1");
    fs::remove_file(root.path().join("proc/self/mountinfo")).unwrap();
    case("docker_v1", None, [])
        .with_problems([
            "proc/self/mountinfo: cannot be read: No such file or directory (os error 2)",
        ])
        .check(root.path());

    let root = copy_of("docker_v1");
    fs::remove_dir_all(root.path().join("sys/fs/cgroup/memory")).unwrap();
    fs::create_dir(root.path().join("sys/fs/cgroup/memory")).unwrap();
    case("docker_v1", None, [])
        .with_problems([
            "sys/fs/cgroup/memory: is a mount of the memory controller, but has no memory files",
        ])
        .check(root.path());
}
