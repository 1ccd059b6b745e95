//! [`Group`]: a memory cgroup of our own, v1 or v2, removed when it is dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const V1_ROOT: &str = "/sys/fs/cgroup/memory";
const V2_ROOT: &str = "/sys/fs/cgroup";
/// The kernel lets a cgroup go somewhat after its last process.
const REMOVE_TRIES: u32 = 200;
const REMOVE_EVERY: Duration = Duration::from_millis(10);

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    V1,
    V2,
}

impl Version {
    /// Which hierarchy has the memory controller here.
    pub fn detect() -> io::Result<Version> {
        if Path::new(V1_ROOT).join("memory.limit_in_bytes").exists() {
            return Ok(Version::V1);
        }
        let controllers = fs::read_to_string(Path::new(V2_ROOT).join("cgroup.controllers"));
        if controllers.is_ok_and(|list| list.split_whitespace().any(|name| name == "memory")) {
            return Ok(Version::V2);
        }
        Err(io::Error::other(format!(
            "no memory cgroup at {V1_ROOT} (v1) or {V2_ROOT} (v2)"
        )))
    }

    pub fn name(self) -> &'static str {
        match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        }
    }
}

pub struct Group {
    version: Version,
    dir: PathBuf,
}

impl Group {
    /// A new one with `limit_bytes`, and no swap where that can be said.
    pub fn make(version: Version, limit_bytes: u64) -> io::Result<Group> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "plimsoll-survive-{}-{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let root = match version {
            Version::V1 => V1_ROOT,
            Version::V2 => {
                // It may be on already; if it can't be turned on, the limit below says so.
                let _ = fs::write(Path::new(V2_ROOT).join("cgroup.subtree_control"), "+memory");
                V2_ROOT
            }
        };
        let dir = Path::new(root).join(name);
        fs::create_dir(&dir).map_err(|error| named(&dir, error))?;
        let group = Group { version, dir };
        group.write(group.limit_file(), limit_bytes)?;
        let swap = match version {
            Version::V1 => ("memory.memsw.limit_in_bytes", limit_bytes),
            Version::V2 => ("memory.swap.max", 0),
        };
        if group.dir.join(swap.0).exists() {
            group.write(swap.0, swap.1)?;
        }
        Ok(group)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lowers the limit to `limit_bytes`; `false` when more than that is in use now. v1 refuses by itself (EBUSY), v2 would
    /// kill: so there it is looked at first, as whoever resizes a container should.
    pub fn lower(&self, limit_bytes: u64) -> io::Result<bool> {
        match self.version {
            Version::V1 => match self.write(self.limit_file(), limit_bytes) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(false),
                Err(error) => Err(error),
            },
            Version::V2 => {
                if self.unreclaimable_bytes()? > limit_bytes {
                    return Ok(false);
                }
                self.write(self.limit_file(), limit_bytes)?;
                Ok(true)
            }
        }
    }

    /// How many processes in it the kernel has killed for memory; `None` if it does not say.
    pub fn kills(&self) -> Option<u64> {
        let file = match self.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        value_of(&self.read(file).ok()?, "oom_kill")
    }

    /// The most that was ever charged, file cache included; `None` if the kernel does not say.
    pub fn peak_bytes(&self) -> Option<u64> {
        let file = match self.version {
            Version::V1 => "memory.max_usage_in_bytes",
            Version::V2 => "memory.peak",
        };
        self.read(file).ok()?.trim().parse().ok()
    }

    fn unreclaimable_bytes(&self) -> io::Result<u64> {
        let unclear = || io::Error::other("memory.current or memory.stat is not as expected");
        let current = self.read("memory.current")?;
        let current: u64 = current.trim().parse().map_err(|_| unclear())?;
        let stat = self.read("memory.stat")?;
        let file = value_of(&stat, "inactive_file")
            .zip(value_of(&stat, "active_file"))
            .map(|(inactive, active)| inactive + active)
            .ok_or_else(unclear)?;
        Ok(current.saturating_sub(file))
    }

    fn limit_file(&self) -> &'static str {
        match self.version {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        }
    }

    fn write(&self, file: &str, value: u64) -> io::Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, value.to_string()).map_err(|error| named(&path, error))
    }

    fn read(&self, file: &str) -> io::Result<String> {
        let path = self.dir.join(file);
        fs::read_to_string(&path).map_err(|error| named(&path, error))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..REMOVE_TRIES {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            thread::sleep(REMOVE_EVERY);
        }
        eprintln!("survive: {} is left over", self.dir.display());
    }
}

/// Moves this process into the cgroup at `dir`.
pub fn enter(dir: &Path) -> io::Result<()> {
    let path = dir.join("cgroup.procs");
    fs::write(&path, "0").map_err(|error| named(&path, error))
}

/// With the path in its text, and of the same kind.
fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The number behind `key` in lines of keys and numbers.
fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|&(name, _)| name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        let v2 = "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(value_of(v1, "oom_kill"), Some(3));
        assert_eq!(value_of(v2, "oom_kill"), Some(1));
        assert_eq!(value_of(v2, "oom"), Some(2));
        assert_eq!(value_of("oom_kill x\n", "oom_kill"), None);
        assert_eq!(value_of("", "oom_kill"), None);
    }
}
