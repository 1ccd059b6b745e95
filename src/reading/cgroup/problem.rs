//! What went wrong, in words for an operator.

use std::path::PathBuf;
use std::{fmt, io};

/// Something that could not be read or understood, and where.
#[derive(Debug)]
pub(crate) struct CgroupProblem {
    path: PathBuf,
    reason: Reason,
}

/// Why a path is a problem.
#[derive(Debug)]
pub(super) enum Reason {
    /// The system refused to open or read it.
    Unreadable(io::Error),
    /// A limit or usage file without a number in it.
    NotANumber,
    /// `memory.stat` lacks keys that every kernel writes.
    MissingKeys,
    /// `/proc/self/cgroup` names a path that no kernel writes.
    MalformedPath,
    /// The process's cgroup lies outside everything this mount shows.
    OutsideMount,
    /// The process's cgroup has no directory here.
    NoDirectory,
    /// The mount begins above the cgroup namespace, and the process was not found in it.
    NotFoundBelow,
    /// A mount of the memory controller without memory files.
    NoMemoryFiles,
}

impl CgroupProblem {
    pub(super) fn new(path: PathBuf, reason: Reason) -> CgroupProblem {
        CgroupProblem { path, reason }
    }

    pub(super) fn unreadable(path: PathBuf, error: io::Error) -> CgroupProblem {
        CgroupProblem::new(path, Reason::Unreadable(error))
    }
}

impl fmt::Display for CgroupProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.reason {
            Reason::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Reason::NotANumber => f.write_str("holds no number of bytes"),
            Reason::MissingKeys => {
                f.write_str("lacks the keys that say how much can be reclaimed or is inherited")
            }
            Reason::MalformedPath => f.write_str("names a cgroup path that cannot be followed"),
            Reason::OutsideMount => {
                f.write_str("is a mount that does not show this process's own cgroup")
            }
            Reason::NoDirectory => {
                f.write_str("should be this process's own cgroup, but is no directory")
            }
            Reason::NotFoundBelow => {
                f.write_str("shows cgroups above the namespace, but this process is in none found")
            }
            Reason::NoMemoryFiles => {
                f.write_str("is a mount of the memory controller, but has no memory files")
            }
        }
    }
}
