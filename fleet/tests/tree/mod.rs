//! A directory of cgroups on the kernel's own hierarchy, with one service.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use plimsoll_fleet::engine::{Event, Happening};
use tokio::sync::mpsc;

pub const MIB: u64 = 1 << 20;

/// Both are gone with it.
pub struct Tree {
    pub root: PathBuf,
    pub service: PathBuf,
}

impl Tree {
    /// `None`: no children can be made there.
    pub fn new(hierarchy: &str, name: &str) -> Option<Tree> {
        let name = format!("plimsoll-fleet-{name}-{}", std::process::id());
        let root = Path::new(hierarchy).join(name);
        fs::create_dir(&root).ok()?;
        let service = root.join("crypto-hog");
        Some(Tree { root, service })
    }

    pub fn write(&self, file: &str, value: u64) {
        fs::write(self.service.join(file), value.to_string()).unwrap();
    }

    /// `None`: there is no such file, or no number in it.
    pub fn read(&self, file: &str) -> Option<u64> {
        let text = fs::read_to_string(self.service.join(file)).ok()?;
        text.trim().parse().ok()
    }

    /// A shell that holds so much until its input ends.
    pub fn holder(&self, within: &str, mib: u64) -> (Child, ChildStdin) {
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

pub fn wait_for_word(child: &mut Child) {
    let mut word = [0; 4];
    let output = child.stdout.as_mut().unwrap();
    output.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"held");
}

pub async fn next(events: &mut mpsc::Receiver<Event>) -> (String, Happening) {
    let next = tokio::time::timeout(Duration::from_secs(30), events.recv()).await;
    let event = next.expect("an event").unwrap();
    (event.id, event.what)
}

/// A kill in a group below the service is told once, by the service's name; so are others that come and go.
pub async fn a_kill_is_told(tree: &Tree, mib: u64) {
    let engine = plimsoll_fleet::engine::Cgroups::open(&tree.root).unwrap();
    let (send, mut events) = mpsc::channel(8);
    let watcher = tokio::spawn(async move {
        use plimsoll_fleet::engine::Actuator;
        engine.watch(&send).await
    });
    let sibling = tree.root.join("sibling");
    // One thread: the watcher looks for the first time now.
    tokio::task::yield_now().await;
    fs::create_dir(&sibling).unwrap();
    let told = |id: &str, what| (id.to_owned(), what);
    let first = next(&mut events).await;
    assert_eq!(first, told("sibling", Happening::Started));

    let (mut child, _input) = tree.holder("inner", mib);
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
