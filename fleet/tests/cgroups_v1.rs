//! The engine of plain cgroups on the kernel's own version 1. Skips with a notice where that can't be had.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use plimsoll_fleet::engine::{Actuator, Cgroups, EngineError, Event, Happening, Way};
use tokio::sync::mpsc;

const MIB: u64 = 1 << 20;
const MEMORY: &str = "memory.limit_in_bytes";
const WITH_SWAP: &str = "memory.memsw.limit_in_bytes";

/// A directory with one service, both gone with it.
struct Tree {
    root: PathBuf,
    service: PathBuf,
}

impl Tree {
    fn new(name: &str, limit_mib: u64) -> Option<Tree> {
        let root = format!(
            "/sys/fs/cgroup/memory/plimsoll-fleet-{name}-{}",
            std::process::id()
        );
        let root = PathBuf::from(root);
        if !Path::new("/sys/fs/cgroup/memory").join(MEMORY).exists()
            || fs::create_dir(&root).is_err()
        {
            eprintln!("skipped: no cgroup v1 of the memory controller to make children of");
            return None;
        }
        let service = root.join("crypto-hog");
        fs::create_dir(&service).unwrap();
        let tree = Tree { root, service };
        tree.write(MEMORY, limit_mib * MIB);
        if tree.service.join(WITH_SWAP).exists() {
            tree.write(WITH_SWAP, limit_mib * MIB);
        }
        Some(tree)
    }

    fn write(&self, file: &str, value: u64) {
        fs::write(self.service.join(file), value.to_string()).unwrap();
    }

    fn limits(&self) -> (u64, Option<u64>) {
        let read = |file| {
            let text = fs::read_to_string(self.service.join(file)).ok()?;
            text.trim().parse().ok()
        };
        (read(MEMORY).unwrap(), read(WITH_SWAP))
    }

    /// A shell that holds so much until its input ends.
    fn holder(&self, within: &str, mib: u64) -> (Child, ChildStdin) {
        let procs = self.service.join(within).join("cgroup.procs");
        let bytes = mib * MIB;
        let script = format!(
            "echo $$ > {}; x=$(head -c {bytes} /dev/zero | tr '\\0' x); echo held; read line",
            procs.display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        (child, input)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What was killed leaves a moment later.
        for _ in 0..100 {
            let _ = fs::remove_dir(self.service.join("inner"));
            if fs::remove_dir(&self.service).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_dir(&self.root);
    }
}

fn wait_for_word(child: &mut Child) {
    use std::io::Read;
    let mut word = [0; 4];
    let output = child.stdout.as_mut().unwrap();
    output.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"held");
}

#[tokio::test]
async fn limits_grow_shrink_and_stay_when_refused() {
    let Some(tree) = Tree::new("limits", 128) else {
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

    let with_swap = tree.limits().1;
    for to in [256 * MIB, 100 * MIB] {
        engine.resize(id, to, Way::Set).await.unwrap();
        assert_eq!(tree.limits(), (to, with_swap.map(|_| to)));
    }

    // What is refused leaves both as they were.
    let before = tree.limits();
    let refused = engine.resize(id, 20 * MIB, Way::Set).await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    assert_eq!(tree.limits(), before);

    input.write_all(b"\n").unwrap();
    child.wait().unwrap();
    let gone = engine
        .resize("no-such", 200 * MIB, Way::Set)
        .await
        .unwrap_err();
    assert!(matches!(gone, EngineError::Gone(_)), "{gone}");
}

async fn next(events: &mut mpsc::Receiver<Event>) -> (String, Happening) {
    let next = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
    let event = next.expect("an event").unwrap();
    (event.id, event.what)
}

#[tokio::test]
async fn a_kill_is_told() {
    let Some(tree) = Tree::new("kill", 24) else {
        return;
    };
    // As a manager of processes has it: the limit on the service, the processes in a group of their own below.
    fs::create_dir(tree.service.join("inner")).unwrap();
    let engine = Cgroups::open(&tree.root).unwrap();
    let (send, mut events) = mpsc::channel(8);
    let watcher = tokio::spawn(async move { engine.watch(&send).await });
    let sibling = tree.root.join("sibling");
    // One thread: the watcher looks for the first time now.
    tokio::task::yield_now().await;
    fs::create_dir(&sibling).unwrap();
    let told = |id: &str, what| (id.to_owned(), what);
    let first = next(&mut events).await;
    assert_eq!(first, told("sibling", Happening::Started));

    let (mut child, _input) = tree.holder("inner", 60);
    let mut second = next(&mut events).await;
    // It may be killed before anybody has seen that it runs.
    if second == told("crypto-hog", Happening::Started) {
        second = next(&mut events).await;
    }
    assert_eq!(second, told("crypto-hog", Happening::OomKill));
    fs::remove_dir(&sibling).unwrap();
    let third = next(&mut events).await;
    assert_eq!(third, told("sibling", Happening::Ended));

    drop(events);
    watcher.await.unwrap().unwrap();
    let _ = child.kill();
    child.wait().unwrap();
}
