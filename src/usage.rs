//! [`Usage`]: how much memory, out of how much, in one coherent picture.

mod gauge;
mod limit;

use std::fmt;

pub(crate) use gauge::{Gauge, LimitSetting};
pub use limit::{Bound, CgroupVersion, Limit, LimitSource};

use crate::bytes::ByteSize;
pub use crate::reading::heap::HeapUsage;

/// How much memory this process uses, out of how much, at one moment.
///
/// RSS, virtual size, the active heap and the cgroup's charge are fresh at every call. The slow facts (host memory, page
/// cache, swap, peak, the rest of the heap's figures) were taken by the worker [`slow_facts_age_ms`](Self::slow_facts_age_ms)
/// ago, page cache perhaps later. A fact that could not be read is `None`, never 0.
///
/// ```
/// let usage = plimsoll::get_memory_manager().usage();
/// assert!(usage.rss_bytes > 0);
/// println!("{usage}");
/// if let (Some(percent), Some(headroom)) = (usage.percent(), usage.headroom_bytes()) {
///     println!("{percent:.1} % used, {headroom} bytes left");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Usage {
    /// Physical memory of this process. Linux: field 2 of `/proc/self/statm`. Where that can't be read this is the peak, an
    /// upper bound, and a finding says so.
    pub rss_bytes: u64,
    /// Address space of this process; says little about memory. Linux: field 1 of `/proc/self/statm`.
    pub virtual_bytes: Option<u64>,
    /// What of this process is in swap (slow). Linux: `VmSwap`.
    pub swap_bytes: Option<u64>,
    /// The highest RSS so far, never below `rss_bytes` (slow). Linux: `VmHWM`.
    pub peak_rss_bytes: u64,
    /// What counts against [`limit`](Self::limit): for a cgroup its charge without reclaimable page cache, else RSS + swap (RSS
    /// alone where swap is unknown).
    pub used_bytes: u64,
    /// The heap, when jemalloc is the global allocator.
    pub heap: Option<HeapUsage>,
    /// The tightest limit, with its source.
    pub limit: Limit,
    /// The level with the least headroom: the one that decides when the process dies. Usually the tightest limit, but a
    /// small child under a full parent is bound by the parent.
    pub binding: Option<Bound>,
    /// Whether every limit on the way could be read, and what counts against it. If not, another may bind, and
    /// [`percent`](Self::percent) is a lower bound; a finding names the file.
    pub all_limits_known: bool,
    /// Memory of the machine (slow).
    pub system_total_bytes: Option<u64>,
    /// Memory that the machine can hand out without swapping (slow). Linux: `MemAvailable`.
    pub system_available_bytes: Option<u64>,
    /// How long ago the slow facts were taken. The worker takes them once a second, ten times a second under pressure, and more often
    /// where memory grows fast.
    pub slow_facts_age_ms: u64,
    /// Bytes in pages that the allocator holds and nobody uses, now: what its last epoch said, and what has changed since by
    /// anonymous memory and active pages. 0 where nobody knows.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) unused_bytes: u64,
}

impl Usage {
    /// Used as a percentage of the limit that binds; `None` when no limit is known. Can pass 100.
    pub fn percent(&self) -> Option<f64> {
        self.binding.map(|bound| bound.percent())
    }

    /// How much more fits before the limit that binds is reached; `None` when no limit is known.
    pub fn headroom_bytes(&self) -> Option<u64> {
        self.binding.map(|bound| bound.headroom_bytes())
    }

    /// How much of the machine's memory is in use, by everybody, in percent.
    pub fn system_percent(&self) -> Option<f64> {
        let total = self.system_total_bytes?;
        let used = total.saturating_sub(self.system_available_bytes?);
        Some(used as f64 * 100.0 / total.max(1) as f64)
    }
}

/// `41.2 MiB of 512.0 MiB (8.0 %), limit: cgroup v2 memory.max; RSS 45.1 MiB, peak 60.3 MiB, heap 38.2 MiB active`
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.binding {
            Some(bound) if self.all_limits_known => bound.fmt(f)?,
            Some(bound) => write!(f, "at least {bound}, others unknown")?,
            None => write!(
                f,
                "{} of an unknown limit",
                ByteSize::bytes(self.used_bytes)
            )?,
        }
        write!(
            f,
            "; RSS {}, peak {}",
            ByteSize::bytes(self.rss_bytes),
            ByteSize::bytes(self.peak_rss_bytes)
        )?;
        if let Some(swap) = self.swap_bytes.filter(|&swap| swap > 0) {
            write!(f, ", swap {}", ByteSize::bytes(swap))?;
        }
        if let Some(heap) = self.heap {
            write!(f, ", heap {} active", ByteSize::bytes(heap.active_bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod fake {
    use super::{Bound, HeapUsage, Limit, LimitSource, Usage};

    /// The usage of a process that holds `rss_bytes`, under a limit or none.
    pub(crate) fn usage(rss_bytes: u64, limit_bytes: Option<u64>) -> Usage {
        Usage {
            rss_bytes,
            virtual_bytes: None,
            swap_bytes: None,
            peak_rss_bytes: rss_bytes,
            used_bytes: rss_bytes,
            heap: None,
            limit: Limit::UNKNOWN,
            binding: limit_bytes.map(|limit_bytes| Bound {
                limit_bytes,
                used_bytes: rss_bytes,
                source: LimitSource::Builder,
            }),
            all_limits_known: true,
            system_total_bytes: None,
            system_available_bytes: None,
            slow_facts_age_ms: 0,
            unused_bytes: 0,
        }
    }

    /// The same, with so much that jemalloc holds and nobody uses.
    pub(crate) fn with_unused(usage: Usage, dirty_bytes: u64) -> Usage {
        let heap = HeapUsage {
            active_bytes: usage.rss_bytes.saturating_sub(dirty_bytes),
            allocated_bytes: 0,
            resident_bytes: usage.rss_bytes,
            dirty_bytes,
            retained_bytes: 0,
            mapped_bytes: 0,
            metadata_bytes: 0,
            thread_cache_bytes: 0,
        };
        Usage {
            heap: Some(heap),
            unused_bytes: dirty_bytes,
            ..usage
        }
    }
}
