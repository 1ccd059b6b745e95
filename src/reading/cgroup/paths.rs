//! What `/proc/self/cgroup` and `/proc/self/mountinfo` say, and how the two fit together. Bytes in, no system calls.
//!
//! Both files give cgroup paths relative to the reader's cgroup namespace, so they compare name by name, and both begin
//! with `..` for what lies above that namespace:
//!
//! | own path      | mount's root  | own directory, below the mount point             |
//! |---------------|---------------|--------------------------------------------------|
//! | `/docker/x`   | `/`           | `docker/x`                                       |
//! | `/docker/x`   | `/docker/x`   | the mount point itself                           |
//! | `/`           | `/`           | the mount point itself (namespace, remounted)    |
//! | `/x`          | `/../..`      | `?/?/x`: the namespace hides two names           |
//! | `/../y`       | `/..`         | `y`                                              |
//! | `/../y`       | `/`           | nowhere: the mount shows a cgroup beside our own |

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The controller's name, in `/proc/self/cgroup` and in the options of a v1 mount.
const MEMORY: &[u8] = b"memory";

/// Which of the two trees of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// One tree per controller, or per group of controllers.
    V1,
    /// The unified tree.
    V2,
}

/// The hierarchy that accounts this process's memory, and its path there, out of `/proc/self/cgroup`.
///
/// A controller lives in one hierarchy at a time: with a v1 line it is there, without one it can only be in v2. The path
/// is left as it is, ` (deleted)` included: that is a legal name as well, and if it is a mark, the directory of that
/// name is rightly missing, while one without the mark would be a newer cgroup that the process is not in.
pub(super) fn memory_membership(proc_self_cgroup: &[u8]) -> Option<(Hierarchy, &[u8])> {
    let mut v2 = None;
    for line in lines(proc_self_cgroup) {
        // `hierarchy:controllers:path`; the path may hold colons of its own.
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (Some(hierarchy), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if has_item(controllers, MEMORY) {
            return Some((Hierarchy::V1, path));
        }
        if hierarchy == b"0" && controllers.is_empty() {
            v2 = v2.or(Some((Hierarchy::V2, path)));
        }
    }
    v2
}

/// A mount of the hierarchy that accounts memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The cgroup that the mount point shows.
    pub(super) root: Vec<u8>,
    /// Where it shows it.
    pub(super) point: Vec<u8>,
}

impl Mount {
    /// The mount point in the file system under `root`.
    pub(super) fn dir(&self, root: &Path) -> PathBuf {
        let point = Path::new(OsStr::from_bytes(&self.point));
        root.join(point.strip_prefix("/").unwrap_or(point))
    }
}

/// The mounts in `mountinfo` that show `hierarchy` with the memory controller. A mount over another at the same point
/// hides it, and stands later in the file.
pub(super) fn memory_mounts(mountinfo: &[u8], hierarchy: Hierarchy) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in lines(mountinfo).filter_map(|line| parse_mount(line, hierarchy)) {
        mounts.retain(|hidden| hidden.point != mount.point);
        mounts.push(mount);
    }
    mounts
}

/// `id parent major:minor root point options [optional ..] - type source super-options`. Fields are split at every
/// single space, because a source may be empty.
fn parse_mount(line: &[u8], hierarchy: Hierarchy) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    let mut tail = fields.skip(1).skip_while(|field| *field != b"-").skip(1);
    let (kind, _source, super_options) = (tail.next()?, tail.next()?, tail.next()?);
    let is_wanted = match hierarchy {
        Hierarchy::V1 => kind == b"cgroup" && has_item(super_options, MEMORY),
        Hierarchy::V2 => kind == b"cgroup2",
    };
    is_wanted.then(|| Mount {
        root: unescape(root),
        point: unescape(point),
    })
}

/// Undoes the octal escapes of mountinfo: `\040` is a space. Any other backslash stands for itself.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    loop {
        rest = match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                tail @ ..,
            ] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
            [] => return bytes,
        };
    }
}

/// A cgroup as seen from the reader's namespace: so many levels above its root, then down these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CgroupPath<'a> {
    ups: usize,
    names: Vec<&'a [u8]>,
}

impl<'a> CgroupPath<'a> {
    /// `None` for what the kernel does not write: a path that is not absolute, or with `.` or `..` behind a name.
    pub(super) fn parse(path: &'a [u8]) -> Option<CgroupPath<'a>> {
        let parts = path.strip_prefix(b"/")?.split(|byte| *byte == b'/');
        let mut parsed = CgroupPath {
            ups: 0,
            names: Vec::new(),
        };
        for part in parts.filter(|part| !part.is_empty()) {
            match part {
                b"." => return None,
                b".." if parsed.names.is_empty() => parsed.ups += 1,
                b".." => return None,
                name => parsed.names.push(name),
            }
        }
        Some(parsed)
    }

    /// Whether it lies above the namespace's root, or beside it.
    pub(super) fn leaves_namespace(&self) -> bool {
        self.ups > 0
    }

    /// Where it lies below `mount_root`; `None` if it does not.
    ///
    /// A path goes up no further than it must. So when both go up equally far, the names decide. When the mount goes
    /// further up and then down again, it went down another way than ours; when it only goes up, we are below it, by as
    /// many names as it goes further up, and those are the ones that the namespace hides.
    pub(super) fn below(&self, mount_root: &CgroupPath<'_>) -> Option<Below<'_>> {
        let hidden = mount_root.ups.checked_sub(self.ups)?;
        if hidden > 0 {
            return mount_root.names.is_empty().then_some(Below {
                hidden,
                names: &self.names,
            });
        }
        let is_below = self.names.starts_with(&mount_root.names);
        is_below.then(|| Below {
            hidden,
            names: &self.names[mount_root.names.len()..],
        })
    }

    /// The cgroup `levels` further up.
    pub(super) fn ancestor(&self, levels: usize) -> CgroupPath<'a> {
        let kept = self.names.len().saturating_sub(levels);
        let above = levels.saturating_sub(self.names.len());
        CgroupPath {
            ups: self.ups + above,
            names: self.names[..kept].to_vec(),
        }
    }
}

impl fmt::Display for CgroupPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ups == 0 && self.names.is_empty() {
            return f.write_str("/");
        }
        for _ in 0..self.ups {
            f.write_str("/..")?;
        }
        for name in &self.names {
            write!(f, "/{}", String::from_utf8_lossy(name))?;
        }
        Ok(())
    }
}

/// A way down from a mount point: through directories whose names the namespace hides, then through known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Below<'a> {
    pub(super) hidden: usize,
    pub(super) names: &'a [&'a [u8]],
}

impl Below<'_> {
    /// How many levels there are between the mount point and the cgroup.
    pub(super) fn depth(&self) -> usize {
        self.hidden + self.names.len()
    }

    /// Follows the known names down from `dir`. They are plain names, so this stays below it.
    pub(super) fn follow(&self, dir: &Path) -> PathBuf {
        let mut followed = dir.to_path_buf();
        followed.extend(self.names.iter().map(|name| OsStr::from_bytes(name)));
        followed
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// Whether a comma-separated `list` has exactly this `item`.
fn has_item(list: &[u8], item: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .any(|candidate| candidate == item)
}
