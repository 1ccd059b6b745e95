//! Against the kernel of this machine. What it does not have or allow is passed over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use super::{Cgroup, LimitFact, LimitFile, limit};
use crate::reading::cgroup::Level;
use crate::reading::cgroup::locate::Step;
use crate::reading::cgroup::paths::Hierarchy;

const V1_MEMORY: &str = "/sys/fs/cgroup/memory";

/// A v1 cgroup with one idle process in it.
struct Scene {
    dir: PathBuf,
    sleeper: Child,
}

impl Scene {
    fn new(limit: &str) -> Option<Scene> {
        let dir = Path::new(V1_MEMORY).join(format!("plimsoll-level-{}", std::process::id()));
        fs::create_dir(&dir).ok()?;
        fs::write(dir.join("memory.limit_in_bytes"), limit).unwrap();
        let join_and_sleep = r#"echo 0 > "$1/cgroup.procs"; exec sleep 60"#;
        let sleeper = Command::new("sh")
            .args(["-c", join_and_sleep, "sh"])
            .arg(&dir)
            .spawn()
            .unwrap();
        Some(Scene { dir, sleeper })
    }

    fn remove(&mut self) {
        // An error means that it was done already.
        let _ = self.sleeper.kill();
        let _ = self.sleeper.wait();
        let is_removed = || fs::remove_dir(&self.dir).is_ok() || !self.dir.exists();
        // The charge of the ended process may keep the cgroup busy for a moment.
        for _ in 0..100 {
            if is_removed() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.remove();
    }
}

#[test]
fn a_level_follows_its_cgroup_until_it_is_removed() {
    let Some(mut scene) = Scene::new("64M") else {
        return;
    };
    let step = Step {
        dir: scene.dir.clone(),
        path: "/scene".into(),
        ancestor: 0,
    };
    let mut problems = Vec::new();
    let mut scratch = Vec::new();
    let level = Level::open(step, Hierarchy::V1, 1 << 62, &mut problems).unwrap();
    level.refresh(&mut scratch, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(level.read().limit, limit(64, LimitFile::V1Limit));
    let is_charged = || level.read().charge_bytes.is_some_and(|bytes| bytes > 0);
    assert!((0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        is_charged()
    }));

    fs::write(scene.dir.join("memory.limit_in_bytes"), "96M").unwrap();
    level.refresh(&mut scratch, &mut problems);
    assert_eq!(level.read().limit, limit(96, LimitFile::V1Limit));
    fs::write(scene.dir.join("memory.limit_in_bytes"), "-1").unwrap();
    level.refresh(&mut scratch, &mut problems);
    assert_eq!(level.read().limit, LimitFact::None);
    fs::write(scene.dir.join("memory.limit_in_bytes"), "64M").unwrap();
    level.refresh(&mut scratch, &mut problems);
    assert!(problems.is_empty(), "{problems:?}");

    scene.remove();
    assert_eq!(level.read().charge_bytes, None, "not the last number");
    level.refresh(&mut scratch, &mut problems);
    assert_eq!(level.read().limit, LimitFact::Unknown);
    assert!(
        problems
            .iter()
            .all(|problem| problem.to_string().contains("No such device")),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 2);
}

#[test]
fn this_process_has_no_problems_here() {
    if !Path::new("/proc/self/cgroup").exists() {
        return;
    }
    let cgroup = Cgroup::resolve(Path::new("/"), None);
    assert!(cgroup.problems().is_empty(), "{:?}", cgroup.problems());
    assert!(!cgroup.membership_changed(&mut Vec::new()));
    assert!(cgroup.refresh(&mut Vec::new()));
    if let Some(top) = cgroup.levels().last() {
        assert!(cgroup.levels().is_sorted_by_key(Level::ancestor));
        assert!(usize::from(top.ancestor()) >= cgroup.levels().len() - 1);
    }
}
