//! How the second version of cgroups calls its memory files.

use super::facts::LimitFile;
use super::level::Dialect;
use super::stat::CacheKeys;

/// Everything in v2 counts a cgroup with its descendants. The root of the whole tree has neither usage nor limits.
pub(super) static DIALECT: Dialect = Dialect {
    usage_file: "memory.current",
    limit_files: &[LimitFile::V2Max, LimitFile::V2High],
    inherited_limit: None,
    root_is_bare: true,
    is_v2: true,
    cache_keys: CacheKeys {
        inactive_file: "inactive_file",
        active_file: "active_file",
        dirty: "file_dirty",
        writeback: "file_writeback",
    },
};
