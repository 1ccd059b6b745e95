//! How the first version of cgroups calls its memory files, and where it differs from the second.

use std::fs;
use std::path::Path;

use super::facts::LimitFile;
use super::level::Dialect;
use super::stat::CacheKeys;

/// v1 counts a cgroup alone in `cache`, `dirty`, ..; with its descendants, as the charge does, in `total_*`.
pub(super) static DIALECT: Dialect = Dialect {
    usage_file: "memory.usage_in_bytes",
    limit_files: &[LimitFile::V1Limit],
    inherited_limit: Some(LimitFile::V1Hierarchical),
    root_is_bare: false,
    is_v2: false,
    cache_keys: CacheKeys {
        inactive_file: "total_inactive_file",
        active_file: "total_active_file",
        dirty: "total_dirty",
        writeback: "total_writeback",
    },
};

/// Whether what a descendant uses is charged to the cgroup in `dir` as well: before Linux 5.11 only if the cgroup's own
/// `memory.use_hierarchy` is set. Where it is not, it is not set in any ancestor either.
pub(super) fn binds_descendants(dir: &Path) -> bool {
    fs::read(dir.join("memory.use_hierarchy")).map_or(true, |text| text.trim_ascii() != b"0")
}
