//! Against the kernel of this machine. What it does not have or allow is passed over.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{ChargeLine, Notice, PollFlags, StallTrigger, Told, Wake, wait};

/// An empty cgroup below `root`.
struct Scene(PathBuf);

impl Scene {
    fn new(root: &str, name: &str) -> Option<Scene> {
        let dir = Path::new(root).join(format!("plimsoll-notice-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir).ok()?;
        Some(Scene(dir))
    }

    fn remove(&self) {
        std::fs::remove_dir(&self.0).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // An error means that it was done already.
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Waits as the watcher does, for a second at most; what is ready.
fn ready(notice: &dyn Notice) -> PollFlags {
    let wake = Wake::new().unwrap();
    wait(&wake, &[notice], Some(Duration::from_secs(1))).unwrap()[0]
}

#[test]
fn the_line_of_a_removed_cgroup_says_so_once_it_is_asked() {
    let Some(scene) = Scene::new("/sys/fs/cgroup/memory", "line") else {
        return;
    };
    let mut line = ChargeLine::open(&scene.0, 1 << 20).unwrap();
    scene.remove();
    let flags = ready(&line);
    assert_eq!(flags, PollFlags::IN);
    let problem = line.answer(flags).unwrap_err().to_string();
    assert!(problem.contains("memory.usage_in_bytes"), "{problem}");
    // What was told was taken.
    let wake = Wake::new().unwrap();
    let ready = wait(&wake, &[&line], Some(Duration::ZERO)).unwrap();
    assert_eq!(ready, [PollFlags::empty()]);
}

#[test]
fn a_line_is_not_passed_from_above() {
    let Some(scene) = Scene::new("/sys/fs/cgroup/memory", "above") else {
        return;
    };
    let mut line = ChargeLine::open(&scene.0, 1 << 20).unwrap();
    assert_eq!(line.answer(PollFlags::IN).unwrap(), Told::Nothing);
    let mut at_once = ChargeLine::open(&scene.0, 0).unwrap();
    assert_eq!(at_once.answer(PollFlags::IN).unwrap(), Told::Look);
}

#[test]
fn a_cgroup_without_event_control_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let problem = |dir: &Path| ChargeLine::open(dir, 1).err().unwrap().to_string();
    assert!(problem(dir.path()).contains("memory.usage_in_bytes: cannot be opened"));
    std::fs::write(dir.path().join("memory.usage_in_bytes"), "0\n").unwrap();
    assert!(problem(dir.path()).contains("cgroup.event_control: cannot be opened"));
}

#[test]
fn the_trigger_of_a_removed_cgroup_is_over() {
    let Some(scene) = Scene::new("/sys/fs/cgroup/unified", "stall") else {
        return;
    };
    let Ok(mut trigger) = StallTrigger::open(&scene.0) else {
        return;
    };
    scene.remove();
    let flags = ready(&trigger);
    assert_eq!(flags, PollFlags::PRI | PollFlags::ERR);
    let problem = trigger.answer(flags).unwrap_err().to_string();
    assert!(problem.contains("is gone"), "{problem}");
}

#[test]
fn a_psi_file_that_is_missing_or_none_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let problem = |dir: &Path| StallTrigger::open(dir).err().unwrap().to_string();
    assert!(problem(dir.path()).contains("cannot be opened"));
    std::fs::write(dir.path().join("memory.pressure"), "nothing\n").unwrap();
    assert!(problem(dir.path()).contains("not understood"));
}

#[test]
fn whoever_waits_is_woken() {
    let wake = Wake::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| wake.ring());
        assert!(wait(&wake, &[], None).unwrap().is_empty());
    });
    // It was taken: the next wait is one.
    let start = Instant::now();
    wait(&wake, &[], Some(Duration::from_millis(20))).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
}
