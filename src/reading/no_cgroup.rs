//! The twin of `cgroup.rs` where there are no cgroups: no levels, no problems.

use std::path::Path;

pub(crate) struct Cgroup;

/// Never made on this platform.
pub(crate) enum Level {}

#[derive(Clone, Copy)]
pub(crate) enum LimitFact {
    Bytes { bytes: u64, file: LimitFile },
    None,
    Unknown,
}

#[derive(Clone, Copy)]
pub(crate) enum LimitFile {
    V2Max,
    V2High,
    V1Limit,
    V1Hierarchical,
}

pub(crate) struct LevelReading {
    pub(crate) limit: LimitFact,
}

impl Cgroup {
    pub(crate) fn resolve(_root: &Path, _host_total_bytes: Option<u64>) -> Self {
        Cgroup
    }

    pub(crate) fn levels(&self) -> &[Level] {
        &[]
    }

    pub(crate) fn problems(&self) -> &[String] {
        &[]
    }

    pub(crate) fn membership_changed(&self, _scratch: &mut Vec<u8>) -> bool {
        false
    }

    pub(crate) fn refresh_caches(&self, _scratch: &mut Vec<u8>) -> bool {
        true
    }

    pub(crate) fn refresh(&self, _scratch: &mut Vec<u8>) -> bool {
        true
    }
}

impl Level {
    pub(crate) fn read(&self) -> LevelReading {
        match *self {}
    }

    pub(crate) fn path(&self) -> &str {
        match *self {}
    }

    pub(crate) fn ancestor(&self) -> u8 {
        match *self {}
    }
}

impl LevelReading {
    pub(crate) fn used_bytes(&self) -> Option<u64> {
        None
    }
}

impl LimitFile {
    pub(crate) fn name(&self) -> &'static str {
        ""
    }
}
