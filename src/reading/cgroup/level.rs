//! One cgroup on the way from the process's own up to the root, with its files held open.

use std::path::{Path, PathBuf};

use super::facts::{AtomicBytes, LevelReading, LimitFact, LimitFile};
use super::locate::Step;
use super::paths::Hierarchy;
use super::problem::{CgroupProblem, Reason};
use super::stat::{self, CacheKeys};
use super::{v1, v2};
use crate::reading::held::HeldFile;

const STAT_FILE: &str = "memory.stat";

/// Room for any number the kernel writes (20 digits) and its newline; a text that fills it is no number.
const NUMBER_BYTES: usize = 32;

/// How a version of cgroups calls what a level reads.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) usage_file: &'static str,
    pub(super) limit_files: &'static [LimitFile],
    /// The key of `memory.stat` that knows the limits of ancestors which cannot be seen.
    pub(super) inherited_limit: Option<LimitFile>,
    /// Whether the root of the whole tree has neither a usage nor limit files.
    pub(super) root_is_bare: bool,
    pub(super) cache_keys: CacheKeys,
    /// Whether it is the unified tree, whose files can be polled.
    pub(super) is_v2: bool,
}

/// One cgroup and what it allows. Refreshed by one thread, read by any.
#[derive(Debug)]
pub(crate) struct Level {
    dir: PathBuf,
    path: String,
    ancestor: u8,
    dialect: &'static Dialect,
    no_limit_from_bytes: u64,
    usage: Option<HeldFile>,
    stat: Option<HeldFile>,
    limits: Vec<HeldLimit>,
    inherited: Option<(LimitFile, AtomicBytes)>,
    reclaimable: AtomicBytes,
}

/// A limit file and what it said last. Without `held` it could not be opened and stays unknown.
#[derive(Debug)]
struct HeldLimit {
    file: LimitFile,
    held: Option<HeldFile>,
    bytes: AtomicBytes,
}

impl Level {
    /// Opens the memory files in `step`'s directory; `None` if it has none of them. The facts are unknown until the
    /// first refresh.
    pub(super) fn open(
        step: Step,
        hierarchy: Hierarchy,
        no_limit_from_bytes: u64,
        problems: &mut Vec<CgroupProblem>,
    ) -> Option<Level> {
        let dialect = match hierarchy {
            Hierarchy::V1 => &v1::DIALECT,
            Hierarchy::V2 => &v2::DIALECT,
        };
        // What may not even be looked for counts as there, so that the refusal is noted.
        let has = |name: &str| step.dir.join(name).try_exists().unwrap_or(true);
        let mut names = dialect.limit_files.iter().map(|file| file.name());
        let is_charged = has(dialect.usage_file) || names.any(has);
        if !is_charged && !has(STAT_FILE) {
            return None;
        }

        let mut open = |name: &str| {
            let path = step.dir.join(name);
            let opened = HeldFile::open(&path);
            opened
                .map_err(|error| problems.push(CgroupProblem::unreadable(path, error)))
                .ok()
        };
        let (usage, limit_files) = if is_charged || !dialect.root_is_bare {
            (open(dialect.usage_file), dialect.limit_files)
        } else {
            (None, [].as_slice())
        };
        let limits = limit_files.iter().map(|&file| HeldLimit {
            file,
            held: open(file.name()),
            bytes: AtomicBytes::unknown(),
        });
        Some(Level {
            limits: limits.collect(),
            stat: open(STAT_FILE),
            dir: step.dir,
            path: step.path,
            ancestor: step.ancestor,
            dialect,
            no_limit_from_bytes,
            usage,
            inherited: None,
            reclaimable: AtomicBytes::unknown(),
        })
    }

    /// Makes this the topmost level that can be seen: limits above it count as its own, where the kernel tells them.
    pub(super) fn watch_inherited_limit(&mut self) {
        self.inherited = self
            .dialect
            .inherited_limit
            .map(|file| (file, AtomicBytes::unknown()));
    }

    /// The cgroup's path as `/proc/self/cgroup` would show it, for people.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Its directory, if memory is charged to it. The root of the v2 tree stands for the whole machine and is charged nothing.
    pub(crate) fn charged_dir(&self) -> Option<&Path> {
        self.usage.is_some().then_some(&self.dir)
    }

    /// Whether it is one of the unified tree.
    pub(crate) fn is_v2(&self) -> bool {
        self.dialect.is_v2
    }

    /// The part of the charge that does not count as used, as it was read last.
    pub(crate) fn reclaimable_bytes(&self) -> Option<u64> {
        self.reclaimable.load()
    }

    /// 0 for the process's own cgroup, 1 for its parent, ..
    pub(crate) fn ancestor(&self) -> u8 {
        self.ancestor
    }

    /// Reads the charge, if there is a limit to compare it with, beside the facts of the last refresh. One `pread` of
    /// about a microsecond, no allocation.
    pub(crate) fn read(&self) -> LevelReading {
        let limit = self.limit();
        let charge_bytes = match (limit, &self.usage) {
            (LimitFact::Bytes { .. }, Some(usage)) => read_charge(usage).ok(),
            _ => None,
        };
        LevelReading {
            charge_bytes,
            reclaimable_bytes: self.reclaimable.load(),
            limit,
        }
    }

    /// Re-reads the limits and `memory.stat`; `scratch` is only for reuse. What cannot be read becomes unknown. Where
    /// there is a limit, the charge is tried as well: [`read`](Self::read) has no way to tell why it got none.
    pub(super) fn refresh(&self, scratch: &mut Vec<u8>, problems: &mut Vec<CgroupProblem>) {
        for limit in &self.limits {
            let Some(held) = &limit.held else { continue };
            let bytes = held
                .read(&mut [0; NUMBER_BYTES])
                .map_err(Reason::Unreadable)
                .and_then(|text| stat::parse_limit_bytes(text).ok_or(Reason::NotANumber));
            limit
                .bytes
                .store(self.known(limit.file.name(), bytes, problems));
        }
        if let Some(held) = &self.stat {
            let read = held.read_to_vec(scratch).map_err(Reason::Unreadable);
            let stat = self
                .known(STAT_FILE, read, problems)
                .map(|()| scratch.as_slice());
            if !self.store_stat(stat) && stat.is_some() {
                problems.push(CgroupProblem::new(
                    self.dir.join(STAT_FILE),
                    Reason::MissingKeys,
                ));
            }
        }
        if let (LimitFact::Bytes { .. }, Some(usage)) = (self.limit(), &self.usage) {
            self.known(self.dialect.usage_file, read_charge(usage), problems);
        }
    }

    /// Re-reads `memory.stat`, if there is a limit; whether that could be read.
    pub(super) fn refresh_cache(&self, scratch: &mut Vec<u8>) -> bool {
        match (self.limit(), &self.stat) {
            (LimitFact::Bytes { .. }, Some(held)) => {
                held.read_to_vec(scratch).is_ok() && self.store_stat(Some(scratch))
            }
            _ => true,
        }
    }

    /// Whether all that should be in it was there.
    fn store_stat(&self, stat: Option<&[u8]>) -> bool {
        let reclaimable = stat.and_then(|stat| self.dialect.cache_keys.reclaimable_bytes(stat));
        self.reclaimable.store(reclaimable);
        let mut is_complete = reclaimable.is_some();
        if let Some((key, bytes)) = &self.inherited {
            let inherited = stat.and_then(|stat| stat::value(stat, key.name()));
            bytes.store(inherited);
            is_complete &= inherited.is_some();
        }
        is_complete
    }

    fn known<T>(
        &self,
        file: &str,
        fact: Result<T, Reason>,
        problems: &mut Vec<CgroupProblem>,
    ) -> Option<T> {
        fact.map_err(|reason| problems.push(CgroupProblem::new(self.dir.join(file), reason)))
            .ok()
    }

    fn limit(&self) -> LimitFact {
        let own = self
            .limits
            .iter()
            .map(|limit| (limit.file, limit.bytes.load()));
        let inherited = self
            .inherited
            .iter()
            .map(|(file, bytes)| (*file, bytes.load()));
        LimitFact::tightest(own.chain(inherited), self.no_limit_from_bytes)
    }
}

fn read_charge(usage: &HeldFile) -> Result<u64, Reason> {
    let mut buf = [0; NUMBER_BYTES];
    let text = usage.read_once(&mut buf).map_err(Reason::Unreadable)?;
    stat::parse_bytes(text).ok_or(Reason::NotANumber)
}
