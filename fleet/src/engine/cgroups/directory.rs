//! [`Directory`]: the files of one cgroup.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::engine::EngineError;

/// Above this a limit of version 1 means none: the largest that the kernel knows, less a page of any size.
const UNLIMITED_BYTES: u64 = (i64::MAX as u64) - (64 << 10);
/// Deeper trees than this nobody has.
const DEPTH: u32 = 16;

/// One cgroup that counts memory.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// What is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// `None`: unlimited.
    pub(super) memory_bytes: Option<u64>,
    /// Memory and swap together. `None`: this kernel can't; `Some(None)`: unlimited.
    pub(super) with_swap_bytes: Option<Option<u64>>,
}

impl Directory {
    pub(super) fn open(path: PathBuf) -> Result<Directory, EngineError> {
        let version = if path.join("memory.limit_in_bytes").exists() {
            Version::V1
        } else if path.join("memory.max").exists() {
            Version::V2
        } else {
            return Err(EngineError::Gone(format!(
                "{} is no cgroup with a memory limit; on cgroup v2, write +memory to the cgroup.subtree_control above it",
                path.display()
            )));
        };
        Ok(Directory { path, version })
    }

    pub(super) fn limits(&self) -> Result<Limits, EngineError> {
        match self.version {
            Version::V1 => Ok(Limits {
                memory_bytes: self.limit("memory.limit_in_bytes")?,
                with_swap_bytes: self.optional("memory.memsw.limit_in_bytes")?,
            }),
            Version::V2 => {
                let memory_bytes = self.limit("memory.max")?;
                let swap_bytes = self.optional("memory.swap.max")?;
                let sum = |swap: Option<u64>| Some(memory_bytes?.saturating_add(swap?));
                Ok(Limits {
                    memory_bytes,
                    with_swap_bytes: swap_bytes.map(sum),
                })
            }
        }
    }

    /// Charge less inactive file cache.
    pub(super) fn used_bytes(&self) -> Result<u64, EngineError> {
        let (charge, cache) = match self.version {
            Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::V2 => ("memory.current", "inactive_file"),
        };
        let charge_bytes = self.number(charge)?;
        let stat = self.read("memory.stat")?;
        Ok(charge_bytes.saturating_sub(field(&stat, cache).unwrap_or(0)))
    }

    /// With those of its children, which version 1 counts apart.
    pub(super) fn oom_kills(&self) -> Result<u64, EngineError> {
        match self.version {
            Version::V1 => self.own_and_below(0),
            Version::V2 => self.counted("memory.events"),
        }
    }

    fn own_and_below(&self, depth: u32) -> Result<u64, EngineError> {
        let mut kills = self.counted("memory.oom_control")?;
        for child in self.children().filter(|_| depth < DEPTH) {
            kills += child.own_and_below(depth + 1).unwrap_or(0);
        }
        Ok(kills)
    }

    /// Here and below: a manager of processes may put them into a group of their own.
    pub(super) fn processes(&self) -> Result<BTreeSet<u32>, EngineError> {
        let mut all = BTreeSet::new();
        self.add_processes(&mut all, 0)?;
        Ok(all)
    }

    fn add_processes(&self, all: &mut BTreeSet<u32>, depth: u32) -> Result<(), EngineError> {
        let text = self.read("cgroup.procs")?;
        all.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        for child in self.children().filter(|_| depth < DEPTH) {
            let _ = child.add_processes(all, depth + 1);
        }
        Ok(())
    }

    fn children(&self) -> impl Iterator<Item = Directory> + use<> {
        let version = self.version;
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(move |entry| Directory {
                path: entry.path(),
                version,
            })
    }

    fn counted(&self, file: &str) -> Result<u64, EngineError> {
        let text = self.read(file)?;
        field(&text, "oom_kill").ok_or_else(|| self.nonsense(file, &text))
    }

    /// A limit that this kernel may not have.
    fn optional(&self, file: &str) -> Result<Option<Option<u64>>, EngineError> {
        if self.path.join(file).exists() {
            self.limit(file).map(Some)
        } else {
            Ok(None)
        }
    }

    fn limit(&self, file: &str) -> Result<Option<u64>, EngineError> {
        let text = self.read(file)?;
        if text.trim() == "max" {
            return Ok(None);
        }
        let bytes: u64 = text
            .trim()
            .parse()
            .map_err(|_| self.nonsense(file, &text))?;
        Ok(Some(bytes).filter(|bytes| *bytes < UNLIMITED_BYTES))
    }

    fn number(&self, file: &str) -> Result<u64, EngineError> {
        let text = self.read(file)?;
        text.trim().parse().map_err(|_| self.nonsense(file, &text))
    }

    fn read(&self, file: &str) -> Result<String, EngineError> {
        let path = self.path.join(file);
        fs::read_to_string(&path).map_err(|error| failed(&path, &error))
    }

    /// Never creates it.
    pub(super) fn write(&self, file: &str, bytes: Option<u64>) -> Result<(), EngineError> {
        let path = self.path.join(file);
        let text = match (bytes, self.version) {
            (Some(bytes), _) => bytes.to_string(),
            (None, Version::V1) => "-1".to_owned(),
            (None, Version::V2) => "max".to_owned(),
        };
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| failed(&path, &error))
    }

    fn nonsense(&self, file: &str, text: &str) -> EngineError {
        let start: String = text.chars().take(40).collect();
        EngineError::Refused(format!(
            "{}: {start:?} is not what the kernel writes there",
            self.path.join(file).display()
        ))
    }
}

/// The number behind a name, in a file of lines of both.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, number) = lines.find(|(key, _)| *key == name)?;
    number.trim().parse().ok()
}

fn failed(path: &Path, error: &io::Error) -> EngineError {
    let path = path.display();
    match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::BUSY.raw_os_error() => EngineError::Refused(
            format!("{path}: more is used than that, and the kernel can't take it back"),
        ),
        Some(code) if code == rustix::io::Errno::NODEV.raw_os_error() => {
            EngineError::Gone(format!("{path}: removed"))
        }
        _ => match error.kind() {
            io::ErrorKind::NotFound => EngineError::Gone(format!("{path}: removed")),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                EngineError::NoPermission(format!(
                    "{path}: {error}; run this as root or as the owner of the cgroup, outside of containers"
                ))
            }
            _ => EngineError::Refused(format!("{path}: {error}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_whole_words() {
        let stat = "inactive_file 5\ntotal_inactive_file 7\noom_kill_disable 0\noom_kill 3\n";
        let table = [
            ("inactive_file", Some(5)),
            ("total_inactive_file", Some(7)),
            ("oom_kill", Some(3)),
            ("oom", None),
        ];
        for (name, value) in table {
            assert_eq!(field(stat, name), value, "{name}");
        }
        assert_eq!(field("oom_kill many\n", "oom_kill"), None);
    }

    #[test]
    fn errors_of_the_kernel_have_their_kind() {
        let of = |errno: rustix::io::Errno| {
            failed(
                Path::new("/c/memory.max"),
                &io::Error::from_raw_os_error(errno.raw_os_error()),
            )
        };
        use rustix::io::Errno;
        assert!(matches!(of(Errno::BUSY), EngineError::Refused(_)));
        assert!(matches!(of(Errno::INVAL), EngineError::Refused(_)));
        assert!(matches!(of(Errno::NOENT), EngineError::Gone(_)));
        assert!(matches!(of(Errno::NODEV), EngineError::Gone(_)));
        for forbidden in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
            assert!(matches!(of(forbidden), EngineError::NoPermission(_)));
        }
    }
}
