//! How close to the limit, and what is done to the program for it.

use crate::telemetry::metric::Read::{Each, One};
use crate::telemetry::metric::Unit::{Bytes, Number, Ratio, Seconds};
use crate::telemetry::metric::{Metric, Value};

/// Who tells that tasks wait for memory, as [`NoticeStats::sources`](crate::NoticeStats::sources) names them.
const STALL_SOURCES: &[&str] = &[
    "memory.pressure",
    "memory.pressure (read)",
    "MEMORY_PRESSURE_WATCH",
];

pub(super) static PRESSURE: &[Metric] = &[
    Metric::gauge(
        "plimsoll_pressure_level",
        Number,
        "0 Normal, 1 Elevated, 2 High, 3 Critical. Absent when no limit is known.",
        One(|s| {
            let level = s.stats.pressure as u64;
            s.stats.usage.binding.map(|_| level.into())
        }),
    ),
    Metric::gauge(
        "plimsoll_level_begins_ratio",
        Ratio,
        "The share of the limit at which a level begins.",
        Each(&["level"], |s, visit| {
            visit(&["elevated"], (s.stats.elevated_percent / 100.0).into());
            visit(&["high"], (s.stats.max_memory_percent / 100.0).into());
            visit(&["critical"], (s.stats.critical_percent / 100.0).into());
        }),
    ),
    Metric::gauge(
        "plimsoll_time_to_limit_seconds",
        Seconds,
        "At the present speed the limit is reached in this time. Absent while usage does not grow.",
        One(|s| s.stats.time_to_limit_ms.map(|ms| (ms as f64 / 1e3).into())),
    ),
    Metric::counter(
        "plimsoll_looks_total",
        Number,
        "Times that usage was measured for a decision.",
        One(|s| Some(s.stats.looks_total.into())),
    ),
    Metric::counter(
        "plimsoll_heap_line_passed_total",
        Number,
        "Times that the heap grew up to where the next line might be, and a look was taken at once.",
        One(|s| Some(s.stats.heap_line_passed_total.into())),
    ),
    Metric::counter(
        "plimsoll_notices_total",
        Number,
        "What was told earlier than the next look, and by what: the limit was touched, the charge passed its line, tasks waited for memory. Absent where nobody tells.",
        Each(&["source"], |s, visit| {
            let notices = &s.stats.notices;
            let told: [(_, &[&str], _); 3] = [
                ("limit", &["memory.events"], notices.limit_events_total),
                (
                    "charge_line",
                    &["charge line"],
                    notices.charge_line_passed_total,
                ),
                ("stall", STALL_SOURCES, notices.stalls_total),
            ];
            for (source, who, total) in told {
                // What was counted stays, though nobody tells any more.
                if total > 0 || who.iter().any(|who| notices.sources.contains(who)) {
                    visit(&[source], total.into());
                }
            }
        }),
    ),
    Metric::counter(
        "plimsoll_notices_false_total",
        Number,
        "Reports that tasks waited for memory which the kernel's own counter did not bear out.",
        One(|s| Some(s.stats.notices.false_alarms_total.into())),
    ),
    Metric::counter(
        "plimsoll_oom_kills_total",
        Number,
        "Processes of the cgroup that the kernel has killed since the manager listens. Absent where nobody tells.",
        One(|s| s.stats.notices.kernel_kills_total.map(Value::from)),
    ),
    Metric::counter(
        "plimsoll_pressure_stall_seconds_total",
        Seconds,
        "Time in which some task, or all (full), of the own cgroup waited for memory. Absent where the kernel does not say.",
        Each(&["kind"], |s, visit| {
            let kinds = [("some", s.stalls.some_us), ("full", s.stalls.full_us)];
            for (kind, stalled_us) in kinds {
                if let Some(us) = stalled_us {
                    visit(&[kind], (us as f64 / 1e6).into());
                }
            }
        }),
    ),
    Metric::counter(
        "plimsoll_brake_pauses_total",
        Number,
        "Times that a thread was made to wait for a cleanup.",
        One(|s| Some(s.stats.brake.pauses_total.into())),
    ),
    Metric::counter(
        "plimsoll_brake_pauses_at_bound_total",
        Number,
        "Times that its time was up before there was room.",
        One(|s| Some(s.stats.brake.at_bound_total.into())),
    ),
    Metric::counter(
        "plimsoll_brake_paused_seconds_total",
        Seconds,
        "All such waiting, of all threads.",
        One(|s| Some((s.stats.brake.paused_ms_total as f64 / 1e3).into())),
    ),
    Metric::gauge(
        "plimsoll_brake_worst_pause_seconds",
        Seconds,
        "The longest such wait so far.",
        One(|s| Some((s.stats.brake.worst_pause_us as f64 / 1e6).into())),
    ),
    Metric::gauge(
        "plimsoll_reserved_bytes",
        Bytes,
        "What is reserved, filled or not.",
        One(|s| Some(s.stats.reserved_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_reserved_unfilled_bytes",
        Bytes,
        "What is reserved and not filled yet: headroom that is spoken for.",
        One(|s| Some(s.stats.reserved_unfilled_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_reservations_waiting",
        Number,
        "How many wait for a reservation.",
        One(|s| Some(s.stats.reservations_waiting.into())),
    ),
];
