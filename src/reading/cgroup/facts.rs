//! What is known of a level, as plain values and the arithmetic on them.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one level allows and holds, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LevelReading {
    /// What the kernel charges to this level and everything below it. Read only where there is a limit to compare it
    /// with; `None` elsewhere, and when the file cannot be read.
    pub(crate) charge_bytes: Option<u64>,
    /// The part of the charge that the kernel can drop at once: clean page cache, as it was read last.
    pub(crate) reclaimable_bytes: Option<u64>,
    /// The limit, as of the last refresh.
    pub(crate) limit: LimitFact,
}

impl LevelReading {
    /// What counts against the limit: the charge without what can be reclaimed at once. While that is unknown, the
    /// whole charge: an upper bound.
    pub(crate) fn used_bytes(&self) -> Option<u64> {
        Some(
            self.charge_bytes?
                .saturating_sub(self.reclaimable_bytes.unwrap_or(0)),
        )
    }

    /// What may still be used before the limit is reached; 0 above it, `None` unless limit and charge are known. For
    /// [`LimitFile::V1Hierarchical`] an upper bound: what else is charged to the hidden ancestor cannot be seen.
    #[cfg(test)]
    pub(super) fn headroom_bytes(&self) -> Option<u64> {
        match self.limit {
            LimitFact::Bytes { bytes, .. } => Some(bytes.saturating_sub(self.used_bytes()?)),
            LimitFact::None | LimitFact::Unknown => None,
        }
    }
}

/// What is known of a level's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitFact {
    /// The tightest number, and the file it came from.
    Bytes {
        /// The limit; 0 is a limit too.
        bytes: u64,
        /// Where it is written.
        file: LimitFile,
    },
    /// Known to be without a limit below host memory.
    None,
    /// Not known: a file could not be read or understood.
    Unknown,
}

impl LimitFact {
    /// The tightest of several numbers, of which `None` is unknown and `no_limit_from_bytes` and above is no limit. A
    /// known number outweighs an unknown one: it binds, whatever the other says. Of equal ones the first is named.
    pub(super) fn tightest(
        numbers: impl Iterator<Item = (LimitFile, Option<u64>)>,
        no_limit_from_bytes: u64,
    ) -> LimitFact {
        numbers.fold(LimitFact::None, |fact, (file, number)| {
            match (fact, number) {
                (LimitFact::Bytes { bytes, .. }, Some(other)) if bytes <= other => fact,
                (_, Some(bytes)) if bytes < no_limit_from_bytes => LimitFact::Bytes { bytes, file },
                (LimitFact::None, None) => LimitFact::Unknown,
                _ => fact,
            }
        })
    }
}

/// Where a limit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitFile {
    /// v2 `memory.max`: above it the kernel kills.
    V2Max,
    /// v2 `memory.high`: above it the kernel throttles.
    V2High,
    /// v1 `memory.limit_in_bytes`.
    V1Limit,
    /// v1 `hierarchical_memory_limit` in `memory.stat`: the limit of an ancestor that cannot be seen from here.
    V1Hierarchical,
}

impl LimitFile {
    /// The kernel's name for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            LimitFile::V2Max => "memory.max",
            LimitFile::V2High => "memory.high",
            LimitFile::V1Limit => "memory.limit_in_bytes",
            LimitFile::V1Hierarchical => "hierarchical_memory_limit",
        }
    }
}

/// A number of bytes that one thread refreshes and others read; unknown until first stored.
///
/// Relaxed is enough: each fact stands alone, and a reader may see the previous one.
#[derive(Debug)]
pub(super) struct AtomicBytes(AtomicU64);

impl AtomicBytes {
    const UNKNOWN: u64 = u64::MAX;

    pub(super) const fn unknown() -> AtomicBytes {
        AtomicBytes(AtomicU64::new(Self::UNKNOWN))
    }

    pub(super) fn load(&self) -> Option<u64> {
        match self.0.load(Ordering::Relaxed) {
            Self::UNKNOWN => None,
            bytes => Some(bytes),
        }
    }

    /// A number too large to tell from the sentinel is stored as the largest that is not.
    pub(super) fn store(&self, bytes: Option<u64>) {
        let stored = bytes.map_or(Self::UNKNOWN, |bytes| bytes.min(Self::UNKNOWN - 1));
        self.0.store(stored, Ordering::Relaxed);
    }
}
