use std::collections::HashSet;

use super::*;
use crate::manager::MemoryManager;
use crate::telemetry::{Kind, Snapshot, Unit};

#[test]
fn names_are_unique_and_say_unit_and_kind() {
    let mut seen = HashSet::new();
    for metric in metrics() {
        let name = metric.name();
        assert!(seen.insert(name), "{name} twice");
        let plain = name
            .strip_prefix("plimsoll_")
            .unwrap_or_else(|| panic!("{name}: no prefix"));
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(!plain.is_empty() && plain.chars().all(is_plain), "{name}");
        let stem = plain.strip_suffix("_total");
        assert_eq!(stem.is_some(), metric.kind() == Kind::Counter, "{name}");
        let stem = stem.unwrap_or(plain);
        let units = [Unit::Bytes, Unit::Seconds, Unit::Ratio];
        let named = units.into_iter().find(|unit| stem.ends_with(unit.suffix()));
        assert_eq!(named.unwrap_or(Unit::Number), metric.unit(), "{name}");
        for other in ["_ms", "_us", "_percent", "_kib", "_count", "_gauge"] {
            assert!(!stem.ends_with(other), "{name}");
        }
        for label in metric.label_names() {
            assert!(label.chars().all(is_plain), "{name}: {label}");
            assert!(!["le", "quantile", "job", "instance"].contains(label));
        }
        let help = metric.help();
        let is_text = !help.is_empty() && !help.contains(char::is_control);
        assert!(is_text && help.ends_with('.'), "{name}: {help:?}");
    }
}

#[test]
fn refused_requests_are_counted_by_reason_and_unknown_without_layers() {
    let manager = MemoryManager::builder().build().unwrap();
    let metric = metrics()
        .find(|metric| metric.name() == "plimsoll_requests_refused_total")
        .unwrap();
    let mut reasons = Vec::new();
    metric.visit(&manager.snapshot(), |labels, _| {
        reasons.push(labels.join(","));
    });
    let expected: &[&str] = if cfg!(feature = "tower") {
        &["shed", "exceeded"]
    } else {
        &[]
    };
    assert_eq!(reasons, expected);
}

#[test]
fn what_nobody_tells_is_absent_and_what_was_counted_stays() {
    let told = |sources: &[&'static str], stalls_total| {
        let mut stats = MemoryManager::builder().build().unwrap().stats();
        stats.notices.sources = sources.to_vec();
        stats.notices.stalls_total = stalls_total;
        let metric = metrics()
            .find(|metric| metric.name() == "plimsoll_notices_total")
            .unwrap();
        let mut told = Vec::new();
        metric.visit(&Snapshot::of(stats, Vec::new()), |labels, _| {
            told.push(labels.join(","));
        });
        told
    };
    assert!(told(&[], 0).is_empty());
    assert_eq!(told(&["charge line"], 0), ["charge_line"]);
    let all = ["memory.events", "memory.pressure", "MEMORY_PRESSURE_WATCH"];
    assert_eq!(told(&all, 0), ["limit", "stall"]);
    assert_eq!(told(&[], 3), ["stall"]);
}

#[cfg(feature = "serde")]
mod fields {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use crate::manager::{ManagerStats, MemoryManager};
    use crate::telemetry::metrics;
    use crate::usage::fake;

    /// Where a field is seen from outside.
    enum Seen {
        /// In this metric.
        As(&'static str),
        /// In none of its own, for this reason.
        Not(&'static str),
        /// In those of its own fields.
        ByFields,
    }
    use Seen::{As, ByFields, Not};

    const FIELDS: &[(&str, Seen)] = &[
        ("usage", ByFields),
        ("usage.rss_bytes", As("resident_bytes")),
        ("usage.virtual_bytes", As("virtual_bytes")),
        ("usage.swap_bytes", As("swap_bytes")),
        ("usage.peak_rss_bytes", As("peak_resident_bytes")),
        ("usage.used_bytes", As("used_bytes")),
        ("usage.heap", ByFields),
        ("usage.heap.active_bytes", As("heap_active_bytes")),
        ("usage.heap.allocated_bytes", As("heap_allocated_bytes")),
        ("usage.heap.resident_bytes", As("heap_resident_bytes")),
        ("usage.heap.dirty_bytes", As("heap_dirty_bytes")),
        ("usage.heap.retained_bytes", As("heap_retained_bytes")),
        ("usage.heap.mapped_bytes", As("heap_mapped_bytes")),
        ("usage.heap.metadata_bytes", As("heap_metadata_bytes")),
        (
            "usage.heap.thread_cache_bytes",
            As("heap_thread_cache_bytes"),
        ),
        ("usage.limit", ByFields),
        ("usage.limit.bytes", As("limit_bytes")),
        ("usage.limit.source", As("limit_bytes")),
        ("usage.binding", As("headroom_bytes")),
        ("usage.all_limits_known", As("findings")),
        ("usage.system_total_bytes", As("system_total_bytes")),
        ("usage.system_available_bytes", As("system_available_bytes")),
        ("usage.slow_facts_age_ms", As("reading_age_seconds")),
        (
            "binding_cgroup",
            Not("a path, for people; the container's name comes with the scrape"),
        ),
        ("pressure", As("pressure_level")),
        ("time_to_limit_ms", As("time_to_limit_seconds")),
        ("elevated_percent", As("level_begins_ratio")),
        ("max_memory_percent", As("level_begins_ratio")),
        ("critical_percent", As("level_begins_ratio")),
        ("brake", ByFields),
        ("brake.pauses_total", As("brake_pauses_total")),
        ("brake.at_bound_total", As("brake_pauses_at_bound_total")),
        ("brake.paused_ms_total", As("brake_paused_seconds_total")),
        ("brake.worst_pause_us", As("brake_worst_pause_seconds")),
        ("decay_hastened", As("decay_hastened")),
        ("looks_total", As("looks_total")),
        ("churn_bytes", As("churn_bytes")),
        (
            "cleanup_threshold_bytes",
            As("cleanup_growth_threshold_bytes"),
        ),
        (
            "rss_at_last_cleanup_bytes",
            As("resident_at_last_cleanup_bytes"),
        ),
        ("reserved_bytes", As("reserved_bytes")),
        ("reserved_unfilled_bytes", As("reserved_unfilled_bytes")),
        ("reservations_waiting", As("reservations_waiting")),
        ("heap_line_passed_total", As("heap_line_passed_total")),
        ("notices", ByFields),
        ("notices.sources", As("notices_total")),
        ("notices.limit_events_total", As("notices_total")),
        ("notices.charge_line_passed_total", As("notices_total")),
        ("notices.stalls_total", As("notices_total")),
        ("notices.false_alarms_total", As("notices_false_total")),
        ("notices.kernel_kills_total", As("oom_kills_total")),
        ("cleanups_total", As("cleanups_total")),
        ("cleanups_futile_total", As("cleanups_futile_total")),
        (
            "cleanup_returned_bytes_total",
            As("cleanup_returned_bytes_total"),
        ),
        ("cleanup_cpu_us_total", As("cleanup_cpu_seconds_total")),
        ("last_cleanup", As("last_cleanup_returned_bytes")),
        (
            "hooks",
            Not("names; they are the labels of the hooks' metrics"),
        ),
        ("hook_stats", As("hook_calls_total")),
        ("periodic", As("periodic_calls_total")),
    ];

    /// Of a manager, with a heap whoever the allocator is.
    pub(super) fn stats() -> ManagerStats {
        let stats = MemoryManager::builder().build().unwrap().stats();
        ManagerStats {
            usage: fake::with_unused(fake::usage(1, Some(2)), 3),
            ..stats
        }
    }

    #[test]
    fn every_field_has_a_metric_or_a_reason_for_none() {
        let names: HashSet<_> = metrics().map(|metric| metric.name()).collect();
        let mut fields: HashMap<_, _> = FIELDS.iter().map(|(name, seen)| (*name, seen)).collect();
        assert_eq!(fields.len(), FIELDS.len());
        let value = serde_json::to_value(stats()).unwrap();
        let mut visit = vec![(String::new(), &value)];
        while let Some((prefix, value)) = visit.pop() {
            let Value::Object(object) = value else {
                panic!("{prefix} has no fields");
            };
            for (key, value) in object {
                let path = format!("{prefix}{key}");
                match fields.remove(path.as_str()) {
                    None => panic!("{path} has neither a metric nor a reason for none"),
                    Some(As(name)) => {
                        let is_known = names.contains(format!("plimsoll_{name}").as_str());
                        assert!(is_known, "{path}: no metric {name}");
                    }
                    Some(Not(reason)) => assert!(!reason.is_empty()),
                    Some(ByFields) => visit.push((format!("{path}."), value)),
                }
            }
        }
        let gone: Vec<_> = fields.keys().collect();
        assert!(gone.is_empty(), "no such fields any more: {gone:?}");
    }
}
