//! Which memory cgroups this process is in, and what each of them allows and is charged.
//!
//! ```text
//! /proc/self/cgroup ──paths──> hierarchy + path ─┐
//! /proc/self/mountinfo ─paths─> mounts ──────────┴─locate─> directories, own first ─level─> Level, Level, ..
//!                                                           (v1 and v2 say how the files are called)
//! ```
//!
//! Every ancestor counts: a small child under a full parent is killed by the parent. So each level keeps its own files
//! open and is read by itself; which one binds is decided above this room.
//!
//! Resolving never fails. What could not be read is listed in [`Cgroup::problems`] and stays *unknown*, which is
//! neither "no limit" nor zero. To be in no memory cgroup at all is no problem: there are just no levels.

mod facts;
mod level;
mod locate;
mod paths;
mod problem;
mod stat;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::{fs, io};

pub(crate) use self::facts::{LimitFact, LimitFile};
pub(crate) use self::level::Level;
pub(crate) use self::problem::CgroupProblem;
pub(super) use self::stat::{parse_bytes, value as keyed_value};

use self::paths::Hierarchy;
use self::problem::Reason;
use super::held::HeldFile;

/// A limit from here on is none when host memory is unknown: v1 writes "unlimited" as the largest multiple of the page
/// size below 2^63, and pages differ.
const NO_LIMIT_FROM_BYTES: u64 = 1 << 62;

/// The memory cgroups of this process, with their files held open.
#[derive(Debug)]
pub(crate) struct Cgroup {
    levels: Vec<Level>,
    problems: Vec<CgroupProblem>,
    /// The last of the problems, so many: those that came from reading the levels' held files.
    unread: usize,
    membership: Option<HeldMembership>,
}

impl Cgroup {
    /// Finds the memory cgroups of this process in the file system under `root` (`/`, except in tests) and reads them
    /// once. A limit at or above `host_total_bytes` is no limit.
    pub(crate) fn resolve(root: &Path, host_total_bytes: Option<u64>) -> Cgroup {
        let no_limit_from_bytes = host_total_bytes
            .filter(|bytes| *bytes > 0)
            .unwrap_or(NO_LIMIT_FROM_BYTES);
        let mut problems = Vec::new();
        let path = root.join("proc/self/cgroup");
        let membership = HeldMembership::open(&path)
            .map_err(|error| problems.push(CgroupProblem::unreadable(path, error)))
            .ok();
        let levels = match &membership {
            Some(membership) => {
                open_levels(root, &membership.bytes, no_limit_from_bytes, &mut problems)
            }
            None => Vec::new(),
        };
        let unread = refresh_all(&levels, &mut Vec::new());
        Cgroup {
            unread: unread.len(),
            levels,
            problems: problems.into_iter().chain(unread).collect(),
            membership,
        }
    }

    /// The process's own cgroup first, then each ancestor up to the root of the mount. Levels in which the memory
    /// controller is not enabled are left out: nothing is counted there.
    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// What could not be read or understood while resolving.
    pub(crate) fn problems(&self) -> &[CgroupProblem] {
        &self.problems
    }

    /// Re-reads the slow facts of every level: some 10 us each, for a worker's tick. Returns whether as much could be
    /// read as when the levels were resolved. If not (a cgroup was removed, a file broke or was mended), the owner
    /// resolves anew; until then what could not be read is unknown.
    pub(crate) fn refresh(&self, scratch: &mut Vec<u8>) -> bool {
        let unread = refresh_all(&self.levels, scratch);
        let known = &self.problems[self.problems.len() - self.unread..];
        unread.len() == known.len()
            && unread
                .iter()
                .zip(known)
                .all(|(now, before)| now.to_string() == before.to_string())
    }

    /// Re-reads what of the charge is page cache, where there is a limit; whether that could be read. If not, a
    /// [`refresh`](Self::refresh) finds out more.
    pub(crate) fn refresh_caches(&self, scratch: &mut Vec<u8>) -> bool {
        self.levels.iter().all(|level| level.refresh_cache(scratch))
    }

    /// Whether the process has been moved to another cgroup, of any hierarchy, since it was resolved. The owner then
    /// resolves anew; after a fork it does so without asking, as the held file describes the parent.
    pub(crate) fn membership_changed(&self, scratch: &mut Vec<u8>) -> bool {
        self.membership
            .as_ref()
            .is_some_and(|held| held.file.read_to_vec(scratch).is_err() || held.bytes != *scratch)
    }
}

/// `/proc/self/cgroup`, and what it said when the levels were resolved.
#[derive(Debug)]
struct HeldMembership {
    file: HeldFile,
    bytes: Vec<u8>,
}

impl HeldMembership {
    fn open(path: &Path) -> io::Result<HeldMembership> {
        let file = HeldFile::open(path)?;
        let mut bytes = Vec::new();
        file.read_to_vec(&mut bytes)?;
        Ok(HeldMembership { file, bytes })
    }
}

fn open_levels(
    root: &Path,
    membership: &[u8],
    no_limit_from_bytes: u64,
    problems: &mut Vec<CgroupProblem>,
) -> Vec<Level> {
    let Some((hierarchy, path)) = paths::memory_membership(membership) else {
        return Vec::new();
    };
    let mountinfo = root.join("proc/self/mountinfo");
    let mounts = match fs::read(&mountinfo) {
        Ok(bytes) => paths::memory_mounts(&bytes, hierarchy),
        Err(error) => {
            problems.push(CgroupProblem::unreadable(mountinfo, error));
            return Vec::new();
        }
    };

    let mut levels = Vec::new();
    for step in locate::locate(root, path, &mounts, problems) {
        if hierarchy == Hierarchy::V1 && step.ancestor > 0 && !v1::binds_descendants(&step.dir) {
            break;
        }
        levels.extend(Level::open(step, hierarchy, no_limit_from_bytes, problems));
    }
    match levels.last_mut() {
        Some(top) => top.watch_inherited_limit(),
        // A v1 mount names its controllers, so its files must be somewhere. A v2 mount may be without memory.
        None if hierarchy == Hierarchy::V1 && problems.is_empty() => {
            problems.extend(
                mounts
                    .first()
                    .map(|mount| CgroupProblem::new(mount.dir(root), Reason::NoMemoryFiles)),
            );
        }
        None => {}
    }
    levels
}

fn refresh_all(levels: &[Level], scratch: &mut Vec<u8>) -> Vec<CgroupProblem> {
    let mut problems = Vec::new();
    for level in levels {
        level.refresh(scratch, &mut problems);
    }
    problems
}
