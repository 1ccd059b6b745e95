//! How much is used, out of how much.

use crate::telemetry::metric::Read::{Each, One};
use crate::telemetry::metric::Unit::{Bytes, Ratio, Seconds};
use crate::telemetry::metric::{Metric, Value};

pub(super) static MEMORY: &[Metric] = &[
    Metric::gauge(
        "plimsoll_used_bytes",
        Bytes,
        "What counts against the limit: the cgroup's charge without reclaimable page cache, else resident and swap.",
        One(|s| Some(s.stats.usage.used_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_limit_bytes",
        Bytes,
        "The tightest memory limit, and where it comes from. Absent when none is known.",
        Each(&["source"], |s, visit| {
            let limit = s.stats.usage.limit;
            if let Some(bytes) = limit.bytes {
                visit(&[&limit.source.to_string()], bytes.into());
            }
        }),
    ),
    Metric::gauge(
        "plimsoll_used_ratio",
        Ratio,
        "Used as a share of the limit with the least headroom, the one that decides. Can pass 1. Absent when no limit is known.",
        One(|s| {
            s.stats
                .usage
                .percent()
                .map(|percent| (percent / 100.0).into())
        }),
    ),
    Metric::gauge(
        "plimsoll_headroom_bytes",
        Bytes,
        "What is left below the limit with the least headroom. Absent when no limit is known.",
        One(|s| {
            let bound = s.stats.usage.binding?;
            Some(bound.headroom_bytes().into())
        }),
    ),
    Metric::gauge(
        "plimsoll_resident_bytes",
        Bytes,
        "Physical memory of this process.",
        One(|s| Some(s.stats.usage.rss_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_peak_resident_bytes",
        Bytes,
        "The highest physical memory of this process so far.",
        One(|s| Some(s.stats.usage.peak_rss_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_virtual_bytes",
        Bytes,
        "Address space of this process. Says little about memory.",
        One(|s| s.stats.usage.virtual_bytes.map(Value::from)),
    ),
    Metric::gauge(
        "plimsoll_swap_bytes",
        Bytes,
        "What of this process is in swap.",
        One(|s| s.stats.usage.swap_bytes.map(Value::from)),
    ),
    Metric::gauge(
        "plimsoll_reading_age_seconds",
        Seconds,
        "How old the slow figures are: host memory, page cache, swap, peak, and the heap without its active bytes.",
        One(|s| {
            let slow_facts_age_s = s.stats.usage.slow_facts_age_ms as f64 / 1e3;
            Some((slow_facts_age_s + s.age().as_secs_f64()).into())
        }),
    ),
    Metric::gauge(
        "plimsoll_heap_allocated_bytes",
        Bytes,
        "Heap that the application holds, rounded to size classes.",
        One(|s| s.stats.usage.heap.map(|heap| heap.allocated_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_active_bytes",
        Bytes,
        "Heap pages with at least one allocation. More than allocated is fragmentation.",
        One(|s| s.stats.usage.heap.map(|heap| heap.active_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_dirty_bytes",
        Bytes,
        "Heap pages that nobody uses and the kernel has not got back: what a purge returns.",
        One(|s| s.stats.usage.heap.map(|heap| heap.dirty_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_metadata_bytes",
        Bytes,
        "The allocator's own records.",
        One(|s| s.stats.usage.heap.map(|heap| heap.metadata_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_resident_bytes",
        Bytes,
        "Heap pages in physical memory, an upper bound.",
        One(|s| s.stats.usage.heap.map(|heap| heap.resident_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_mapped_bytes",
        Bytes,
        "Mappings that hold active heap pages.",
        One(|s| s.stats.usage.heap.map(|heap| heap.mapped_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_retained_bytes",
        Bytes,
        "Address space that the allocator keeps without memory behind it.",
        One(|s| s.stats.usage.heap.map(|heap| heap.retained_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_heap_thread_cache_bytes",
        Bytes,
        "Freed, but kept in threads' caches, out of reach of a purge.",
        One(|s| {
            s.stats
                .usage
                .heap
                .map(|heap| heap.thread_cache_bytes.into())
        }),
    ),
    Metric::gauge(
        "plimsoll_system_total_bytes",
        Bytes,
        "Memory of the machine.",
        One(|s| s.stats.usage.system_total_bytes.map(Value::from)),
    ),
    Metric::gauge(
        "plimsoll_system_available_bytes",
        Bytes,
        "Memory that the machine can hand out without swapping.",
        One(|s| s.stats.usage.system_available_bytes.map(Value::from)),
    ),
];
