//! `oom_kill` counters of cgroups.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use crate::doctor::finding::Unreadable;
use crate::engine::field;

/// More directories than a host with ten thousand containers has.
const MAX_DIRECTORIES: usize = 50_000;
const MAX_DEPTH: usize = 24;

/// A cgroup in which the kernel killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedKills {
    /// Below the root, with a slash in front.
    pub cgroup: String,
    /// Since the cgroup was made.
    pub kills_total: u64,
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    pub kills: Vec<CountedKills>,
    /// There were more than a walk looks at.
    pub is_cut: bool,
    root: PathBuf,
}

impl Walk {
    /// Whether a cgroup is there no longer; unknown is no.
    pub fn is_gone(&self, cgroup: &str) -> bool {
        let below = cgroup.trim_start_matches('/');
        self.root.is_dir() && !self.root.join(below).is_dir()
    }
}

/// The counter of one cgroup: v1's is its own; v2's `.local` is, while `memory.events` counts what happened below as well.
fn read_kills(directory: &Path) -> Option<u64> {
    ["memory.oom_control", "memory.events.local", "memory.events"]
        .iter()
        .filter_map(|name| fs::read_to_string(directory.join(name)).ok())
        .find_map(|text| field(&text, "oom_kill"))
}

/// Where the memory controller's tree begins below `mount` (`/sys/fs/cgroup`).
fn root(mount: &Path) -> Option<PathBuf> {
    [
        mount.join("memory"),
        mount.to_owned(),
        mount.join("unified"),
    ]
    .into_iter()
    .find(|root| has_memory(root))
}

fn has_memory(root: &Path) -> bool {
    if root.join("memory.oom_control").exists() {
        return true;
    }
    // v2: its root has no memory.events, but says which controllers there are.
    fs::read_to_string(root.join("cgroup.controllers"))
        .is_ok_and(|text| text.split_whitespace().any(|name| name == "memory"))
}

/// Looks at every cgroup below `mount`, breadth first.
///
/// # Errors
///
/// There is no memory controller here.
pub fn walk(mount: &Path) -> Result<Walk, Unreadable> {
    let root = root(mount).ok_or_else(|| {
        Unreadable::new(
            format!(
                "{}: no memory controller, neither v1 nor v2",
                mount.display()
            ),
            "look on the host itself: this may be a container without the mount",
        )
    })?;
    let mut walk = Walk {
        root: root.clone(),
        ..Walk::default()
    };
    let mut next = VecDeque::from([(root.clone(), 0)]);
    let mut looked_at = 0;
    while let Some((directory, depth)) = next.pop_front() {
        looked_at += 1;
        if looked_at > MAX_DIRECTORIES || depth > MAX_DEPTH {
            walk.is_cut = true;
            continue;
        }
        if let Some(kills_total) = read_kills(&directory).filter(|kills| *kills > 0) {
            let below = directory.strip_prefix(&root).unwrap_or(&directory);
            walk.kills.push(CountedKills {
                cgroup: format!("/{}", below.display()),
                kills_total,
            });
        }
        // Cgroups come and go: one that went while we looked is no error.
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let directories = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        next.extend(directories.map(|entry| (entry.path(), depth + 1)));
        // What waits counts as well, or a wide tree would be held in memory whole.
        if next.len() > MAX_DIRECTORIES {
            walk.is_cut = true;
            next.truncate(MAX_DIRECTORIES);
        }
    }
    walk.kills.sort_by(|a, b| a.cgroup.cmp(&b.cgroup));
    Ok(walk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn found(mount: &Path) -> Vec<(String, u64)> {
        let walk = walk(mount).unwrap();
        assert!(!walk.is_cut);
        let pairs = walk.kills.into_iter();
        pairs
            .map(|kills| (kills.cgroup, kills.kills_total))
            .collect()
    }

    #[test]
    fn each_version_is_walked_in_its_own_way() {
        let scratch = tempfile::tempdir().unwrap();
        let v1 = scratch.path().join("v1");
        write(
            &v1,
            &[
                ("memory/memory.oom_control", "oom_kill 0\n"),
                ("memory/a/memory.oom_control", "oom_kill 0\n"),
                ("memory/a/b c/memory.oom_control", "oom_kill 2\n"),
                ("unified/cgroup.controllers", "hugetlb\n"),
            ],
        );
        assert_eq!(found(&v1), [("/a/b c".to_owned(), 2)]);
        let walk = walk(&v1).unwrap();
        let gone = ["/", "/a", "/a/b c", "/a/c"].map(|path| walk.is_gone(path));
        assert_eq!(gone, [false, false, false, true]);
        assert!(!Walk::default().is_gone("/a"));

        let v2 = scratch.path().join("v2");
        write(
            &v2,
            &[
                ("cgroup.controllers", "cpu memory\n"),
                ("a/memory.events", "oom_kill 5\n"),
                ("a/memory.events.local", "oom_kill 0\n"),
                ("a/b/memory.events", "oom_kill 5\n"),
                ("a/b/memory.events.local", "oom_kill 5\n"),
                // Before 5.2 there was no `.local`.
                ("old/memory.events", "oom_kill 1\n"),
            ],
        );
        assert_eq!(found(&v2), [("/a/b".to_owned(), 5), ("/old".to_owned(), 1)]);
    }

    #[test]
    fn no_controller_is_unknown_and_not_none() {
        let scratch = tempfile::tempdir().unwrap();
        let error = walk(scratch.path()).unwrap_err();
        assert!(error.why.contains("no memory controller"), "{error:?}");
        write(scratch.path(), &[("cgroup.controllers", "cpu io\n")]);
        walk(scratch.path()).unwrap_err();
    }

    #[test]
    fn a_tree_that_is_too_deep_is_cut_and_says_so() {
        let scratch = tempfile::tempdir().unwrap();
        write(
            scratch.path(),
            &[("memory/memory.oom_control", "oom_kill 0\n")],
        );
        let deep = vec!["d"; MAX_DEPTH + 2].join("/");
        fs::create_dir_all(scratch.path().join("memory").join(deep)).unwrap();
        assert!(walk(scratch.path()).unwrap().is_cut);
    }
}
