//! From a cgroup path and the mounts to the directories, the process's own first.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use super::paths::{Below, CgroupPath, Mount};
use super::problem::{CgroupProblem, Reason};

/// How many directories a search below a namespace's hidden part may look at: some tens of milliseconds, once.
const MAX_SEARCHED_DIRS: usize = 4096;

/// One directory on the way up.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) dir: PathBuf,
    /// Its cgroup path, for people.
    pub(super) path: String,
    /// How far above the process's own cgroup.
    pub(super) ancestor: u8,
}

/// A mount that shows the process's cgroup, and the way down to it.
struct View<'a> {
    mount_dir: PathBuf,
    below: Below<'a>,
}

/// The directories of the cgroup `path` and its ancestors in the file system under `root`.
///
/// Of several mounts the one that shows the most ancestors is taken. Without the own directory, as much of the way up
/// as there is counts, with a problem noted.
pub(super) fn locate(
    root: &Path,
    path: &[u8],
    mounts: &[Mount],
    problems: &mut Vec<CgroupProblem>,
) -> Vec<Step> {
    let Some(own) = CgroupPath::parse(path) else {
        problems.push(CgroupProblem::new(
            root.join("proc/self/cgroup"),
            Reason::MalformedPath,
        ));
        return Vec::new();
    };
    let mut views: Vec<View<'_>> = mounts
        .iter()
        .filter_map(|mount| {
            let below = own.below(&CgroupPath::parse(&mount.root)?)?;
            Some(View {
                mount_dir: mount.dir(root),
                below,
            })
        })
        .collect();
    views.sort_by_key(|view| Reverse(view.below.depth()));

    let mut found = views
        .iter()
        .filter_map(|view| Some((view, view.own_dir(root)?)));
    if let Some((view, own_dir)) = found.next() {
        return steps_up(&own, &own_dir, 0, view.below.depth());
    }
    match (views.first(), mounts.first()) {
        (Some(view), _) => view.steps_without_own_dir(&own, problems),
        (None, Some(mount)) => steps_outside(root, &own, mount, problems),
        (None, None) => Vec::new(),
    }
}

impl View<'_> {
    /// The process's own directory, if it can be found through this mount.
    fn own_dir(&self, root: &Path) -> Option<PathBuf> {
        if self.below.hidden > 0 {
            return search(root, &self.mount_dir, &self.below);
        }
        Some(self.below.follow(&self.mount_dir)).filter(|dir| dir.is_dir())
    }

    fn steps_without_own_dir(
        &self,
        own: &CgroupPath<'_>,
        problems: &mut Vec<CgroupProblem>,
    ) -> Vec<Step> {
        let depth = self.below.depth();
        if self.below.hidden > 0 {
            problems.push(CgroupProblem::new(
                self.mount_dir.clone(),
                Reason::NotFoundBelow,
            ));
            return steps_up(own, &self.mount_dir, depth, depth);
        }
        let own_dir = self.below.follow(&self.mount_dir);
        problems.push(CgroupProblem::new(own_dir.clone(), Reason::NoDirectory));
        steps_up(own, &own_dir, 0, depth)
    }
}

/// The directory `dir`, which is ancestor number `first` of `own`, and those above it up to number `last`.
fn steps_up(own: &CgroupPath<'_>, dir: &Path, first: usize, last: usize) -> Vec<Step> {
    dir.ancestors()
        .zip(first..=last)
        .map(|(dir, ancestor)| Step {
            dir: dir.to_path_buf(),
            path: own.ancestor(ancestor).to_string(),
            ancestor: u8::try_from(ancestor).unwrap_or(u8::MAX),
        })
        .collect()
}

/// No mount shows the own cgroup. A container that was given the host's view of `/proc/self/cgroup` and a mount of its
/// own means that mount. But a path that leaves the namespace is a true one: the mount then shows somebody else.
fn steps_outside(
    root: &Path,
    own: &CgroupPath<'_>,
    mount: &Mount,
    problems: &mut Vec<CgroupProblem>,
) -> Vec<Step> {
    let dir = mount.dir(root);
    problems.push(CgroupProblem::new(dir.clone(), Reason::OutsideMount));
    if own.leaves_namespace() {
        return Vec::new();
    }
    let path = String::from_utf8_lossy(&mount.root).into_owned();
    vec![Step {
        dir,
        path,
        ancestor: 0,
    }]
}

/// Finds the process below a mount that begins above its namespace. The kernel tells how many levels lie between, not
/// their names, but the right directory at that depth lists this process in `cgroup.procs`.
fn search(root: &Path, mount_dir: &Path, below: &Below<'_>) -> Option<PathBuf> {
    let stat = fs::read(root.join("proc/self/stat")).ok()?;
    let pid = stat.split(|byte| *byte == b' ').next()?;
    let mut level = vec![mount_dir.to_path_buf()];
    let mut left = MAX_SEARCHED_DIRS;
    for _ in 0..below.hidden {
        level = level
            .iter()
            .flat_map(|dir| subdirectories(dir))
            .take(left)
            .collect();
        left -= level.len();
    }
    level
        .into_iter()
        .map(|dir| below.follow(&dir))
        .find(|dir| lists_process(dir, pid))
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn lists_process(dir: &Path, pid: &[u8]) -> bool {
    fs::read(dir.join("cgroup.procs"))
        .is_ok_and(|pids| pids.split(|byte| *byte == b'\n').any(|line| line == pid))
}
