//! The engine of plain cgroups on the kernel's own version 2: in `ci/fleet-v2`, which has a kernel for it. Skips with a notice elsewhere.

mod tree;

use std::fs;
use std::io::Write;
use std::path::Path;

use plimsoll_fleet::engine::{Actuator, Cgroups, EngineError, Way};

use tree::{MIB, Tree, a_kill_is_told, wait_for_word};

const HIERARCHY: &str = "/sys/fs/cgroup";
const CONTROL: &str = "cgroup.subtree_control";
const MEMORY: &str = "memory.max";
const SWAP: &str = "memory.swap.max";
const SWAP_MIB: u64 = 5;

fn tree(name: &str, limit_mib: u64) -> Option<Tree> {
    let control = fs::read_to_string(Path::new(HIERARCHY).join(CONTROL)).unwrap_or_default();
    let is_there = control.split_whitespace().any(|word| word == "memory");
    let Some(tree) = is_there.then(|| Tree::new(HIERARCHY, name)).flatten() else {
        eprintln!("skipped: no cgroup v2 with the memory controller to make children of");
        return None;
    };
    fs::write(tree.root.join(CONTROL), "+memory").unwrap();
    fs::create_dir(&tree.service).unwrap();
    tree.write(MEMORY, limit_mib * MIB);
    tree.write(SWAP, SWAP_MIB * MIB);
    Some(tree)
}

fn kills(tree: &Tree) -> u64 {
    let text = fs::read_to_string(tree.service.join("memory.events")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn limits_grow_shrink_and_below_use_nothing_is_written() {
    let Some(tree) = tree("limits", 64) else {
        return;
    };
    let engine = Cgroups::open(&tree.root).unwrap();
    let (mut child, mut input) = tree.holder("", 12);
    wait_for_word(&mut child);

    let containers = engine.containers().await.unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0].service, "hog");
    assert_eq!(containers[0].limit_bytes, Some(64 * MIB));
    assert_eq!(containers[0].swap_limit_bytes, Some((64 + SWAP_MIB) * MIB));
    let id = containers[0].id.as_str();
    let used_bytes = engine.usage(id).await.unwrap().used_bytes;
    assert!(used_bytes >= 12 * MIB, "{used_bytes}");

    for to in [128 * MIB, 56 * MIB] {
        engine.resize(id, to, Way::Set).await.unwrap();
        assert_eq!(tree.read(MEMORY), Some(to));
        assert_eq!(tree.read(SWAP), Some(SWAP_MIB * MIB));
    }

    // The kernel would obey, by a kill.
    let refused = engine.resize(id, 8 * MIB, Way::Set).await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    assert_eq!(tree.read(MEMORY), Some(56 * MIB));
    assert_eq!(kills(&tree), 0);
    assert_eq!(engine.usage(id).await.unwrap().oom_kills_total, Some(0));
    assert!(child.try_wait().unwrap().is_none());

    // An unlimited one says so in a word.
    fs::write(tree.service.join(MEMORY), "max").unwrap();
    assert_eq!(engine.usage(id).await.unwrap().limit_bytes, None);

    input.write_all(b"\n").unwrap();
    child.wait().unwrap();
    let gone = engine
        .resize("no-such", 64 * MIB, Way::Set)
        .await
        .unwrap_err();
    assert!(matches!(gone, EngineError::Gone(_)), "{gone}");
}

#[tokio::test]
async fn a_kill_below_is_told() {
    let Some(tree) = tree("kill", 16) else {
        return;
    };
    // As a manager of processes has it: the limit on the service, the processes in a group of their own below.
    fs::write(tree.service.join(CONTROL), "+memory").unwrap();
    tree.write(SWAP, 0);
    fs::create_dir(tree.service.join("inner")).unwrap();
    a_kill_is_told(&tree, 32).await;
    assert!(kills(&tree) >= 1);
}
