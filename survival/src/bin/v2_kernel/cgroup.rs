//! [`Cgroup`]: one of version 2, made for one check.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::Outcome;

const ROOT: &str = "/sys/fs/cgroup";

#[derive(Clone)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// The one that all of a check's lie in. No process may be in it, since it hands memory to its children.
    pub fn top(check: &str) -> Result<Cgroup, String> {
        let _ = fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+memory");
        let top = Cgroup(dir_of(check)).made()?;
        top.set("cgroup.subtree_control", "+memory")?;
        Ok(top)
    }

    pub fn child(&self, name: &str) -> Result<Cgroup, String> {
        Cgroup(self.0.join(name)).made()
    }

    /// With a limit in `memory.max`.
    pub fn limited(&self, name: &str, mib: u64) -> Result<Cgroup, String> {
        let child = self.child(name)?;
        child.set_mib("memory.max", mib)?;
        Ok(child)
    }

    fn made(self) -> Result<Cgroup, String> {
        fs::create_dir(&self.0).map_err(|error| format!("{}: {error}", self.0.display()))?;
        Ok(self)
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    pub fn set(&self, file: &str, value: &str) -> Outcome {
        let path = self.0.join(file);
        fs::write(&path, value).map_err(|error| format!("{} {value}: {error}", path.display()))
    }

    pub fn set_mib(&self, file: &str, mib: u64) -> Outcome {
        self.set(file, &(mib << 20).to_string())
    }

    pub fn get(&self, file: &str) -> Result<String, String> {
        let path = self.0.join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub fn current_bytes(&self) -> Result<u64, String> {
        let text = self.get("memory.current")?;
        text.trim()
            .parse()
            .map_err(|_| format!("memory.current: {text:?}"))
    }

    /// Moves this process here, and with it the children that it will have.
    pub fn join(&self) -> Outcome {
        self.set("cgroup.procs", "0")
    }

    /// Ends what a check left behind, and removes its cgroups.
    pub fn remove_all(check: &str) {
        let top = dir_of(check);
        let _ = fs::write(top.join("cgroup.kill"), "1");
        for _ in 0..200 {
            remove_tree(&top);
            if !top.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        eprintln!("v2_kernel: {} is left over", top.display());
    }
}

fn dir_of(check: &str) -> PathBuf {
    Path::new(ROOT).join(format!("plimsoll-check-{check}"))
}

/// A cgroup goes once it has no process and no child.
fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}
