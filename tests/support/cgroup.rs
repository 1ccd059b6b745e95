//! A memory cgroup of version 1 to run a child in.

use std::fs;
use std::path::{Path, PathBuf};

use super::wait_until;

const ROOT: &str = "/sys/fs/cgroup/memory";

/// A cgroup that is removed when the test ends.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// `None`, with a line that says so, where the hierarchy is not there or not ours to write; a failure in CI.
    pub fn new(name: &str) -> Option<Cgroup> {
        let dir = Path::new(ROOT).join(format!("plimsoll-test-{}-{name}", std::process::id()));
        match fs::create_dir(&dir) {
            Ok(()) => Some(Cgroup(dir)),
            Err(error) if std::env::var("CI").as_deref() == Ok("true") => {
                panic!("no cgroup v1 to test with: {}: {error}", dir.display())
            }
            Err(error) => {
                eprintln!("skipped: {}: {error}", dir.display());
                None
            }
        }
    }

    pub fn below(&self, name: &str) -> Cgroup {
        let dir = self.file(name);
        fs::create_dir(&dir).unwrap();
        Cgroup(dir)
    }

    pub fn set_limit(&self, bytes: u64) -> &Self {
        fs::write(self.file("memory.limit_in_bytes"), bytes.to_string()).unwrap();
        self
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// How many processes the kernel has killed in here.
    pub fn kills(&self) -> u64 {
        let control = fs::read_to_string(self.file("memory.oom_control")).unwrap();
        let kills = control
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "));
        kills.unwrap().parse().unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The last process may still be on its way out.
        wait_until("an empty cgroup", || fs::remove_dir(&self.0).is_ok());
    }
}
