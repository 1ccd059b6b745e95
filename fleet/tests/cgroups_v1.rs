//! The engine of plain cgroups on the kernel's own version 1. Skips with a notice where that can't be had.

mod tree;

use std::fs;
use std::io::Write;
use std::path::Path;

use plimsoll_fleet::engine::{Actuator, Cgroups, EngineError, Way};

use tree::{MIB, Tree, a_kill_is_told, wait_for_word};

const HIERARCHY: &str = "/sys/fs/cgroup/memory";
const MEMORY: &str = "memory.limit_in_bytes";
const WITH_SWAP: &str = "memory.memsw.limit_in_bytes";

fn tree(name: &str, limit_mib: u64) -> Option<Tree> {
    let is_there = Path::new(HIERARCHY).join(MEMORY).exists();
    let Some(tree) = is_there.then(|| Tree::new(HIERARCHY, name)).flatten() else {
        eprintln!("skipped: no cgroup v1 of the memory controller to make children of");
        return None;
    };
    fs::create_dir(&tree.service).unwrap();
    tree.write(MEMORY, limit_mib * MIB);
    if tree.service.join(WITH_SWAP).exists() {
        tree.write(WITH_SWAP, limit_mib * MIB);
    }
    Some(tree)
}

fn limits(tree: &Tree) -> (u64, Option<u64>) {
    (tree.read(MEMORY).unwrap(), tree.read(WITH_SWAP))
}

#[tokio::test]
async fn limits_grow_shrink_and_stay_when_refused() {
    let Some(tree) = tree("limits", 128) else {
        return;
    };
    let engine = Cgroups::open(&tree.root).unwrap();
    let (mut child, mut input) = tree.holder("", 40);
    wait_for_word(&mut child);

    let containers = engine.containers().await.unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0].service, "hog");
    assert_eq!(containers[0].limit_bytes, Some(128 * MIB));
    let id = containers[0].id.as_str();
    let used_bytes = engine.usage(id).await.unwrap().used_bytes;
    assert!(used_bytes >= 40 * MIB, "{used_bytes}");

    let with_swap = limits(&tree).1;
    for to in [256 * MIB, 100 * MIB] {
        engine.resize(id, to, Way::Set).await.unwrap();
        assert_eq!(limits(&tree), (to, with_swap.map(|_| to)));
    }

    // What is refused leaves both as they were.
    let before = limits(&tree);
    let refused = engine.resize(id, 20 * MIB, Way::Set).await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    assert_eq!(limits(&tree), before);

    input.write_all(b"\n").unwrap();
    child.wait().unwrap();
    let gone = engine
        .resize("no-such", 200 * MIB, Way::Set)
        .await
        .unwrap_err();
    assert!(matches!(gone, EngineError::Gone(_)), "{gone}");
}

#[tokio::test]
async fn a_kill_below_is_told() {
    let Some(tree) = tree("kill", 24) else {
        return;
    };
    // As a manager of processes has it: the limit on the service, the processes in a group of their own below.
    fs::create_dir(tree.service.join("inner")).unwrap();
    a_kill_is_told(&tree, 60).await;
}
