//! The dashboard: which panels, in which order. What an operator wants to know first is at the top.

use plimsoll::MemoryManager;
use serde_json::{Value, json};

use super::panel::{Panel, datasource};
use super::query::Query;

/// Grafana's grid.
const COLUMNS: u64 = 24;

/// As Grafana imports it.
pub fn dashboard() -> Value {
    json!({
        "id": null,
        "uid": "plimsoll",
        "title": "Plimsoll: memory of services",
        "description": "Made from Plimsoll's metric table by its tests: edit tests/deploy/dashboard.rs, not this.",
        "tags": ["memory", "plimsoll"],
        "editable": true,
        "graphTooltip": 1,
        "links": [],
        "refresh": "15s",
        "schemaVersion": 39,
        "time": { "from": "now-1h", "to": "now" },
        "timepicker": {},
        "timezone": "browser",
        "version": 1,
        "annotations": { "list": [alerts()] },
        "templating": { "list": [
            prometheus(),
            choice("job", "Job", "label_values(plimsoll_build_info, job)"),
            choice("instance", "Instance", r#"label_values(plimsoll_build_info{job=~"$job"}, instance)"#),
        ] },
        "panels": arranged(sections()),
    })
}

type Section = (Option<&'static str>, Vec<Panel>);

fn sections() -> Vec<Section> {
    vec![
        (None, at_a_glance()),
        (Some("Who holds it"), scopes()),
        (Some("What is given back"), cleanups()),
        (
            Some("What is done to the program, and what the kernel says"),
            pressure(),
        ),
        (Some("Process, machine, set-up"), setting()),
    ]
}

fn at_a_glance() -> Vec<Panel> {
    let lines = MemoryManager::builder().build().expect("defaults").stats();
    let lines = [
        (lines.elevated_percent / 100.0, "yellow"),
        (lines.max_memory_percent / 100.0, "orange"),
        (lines.critical_percent / 100.0, "red"),
    ];
    vec![
        Panel::stat("Pressure", Query::new("max({pressure_level})", "level")).levels().note("The highest of what is chosen."),
        Panel::stat("Used, of the limit", Query::new("max({used_ratio})", "used"))
            .steps(lines)
            .no_value("no limit known")
            .note("The highest of what is chosen. Colours change at the default lines."),
        Panel::stat("Time to the limit", Query::new("min({time_to_limit_seconds})", "time"))
            .steps([(0.0, "red"), (300.0, "green")])
            .no_value("not growing")
            .note("The shortest of what is chosen."),
        Panel::stat("Killed by the kernel", Query::new("sum({oom_kills_total over range})", "kills"))
            .steps([(0.5, "red")])
            .no_value("nobody tells")
            .note("In the time that is shown. A service does not see its own end: see the alerts OomKilled and RestartedNearLimit."),
        Panel::stat("Findings", Query::new("sum({findings})", "findings"))
            .steps([(1.0, "yellow")])
            .no_value("none")
            .note("Details are at the bottom."),
        Panel::names("Versions", Query::new("count by (version) ({build_info})", "{{version}}")),
        Panel::lines(
            "Used, of the limit that decides",
            [Query::of("used_ratio"), Query::new("max by (level) ({level_begins_ratio})", "{{level}} begins").dashed()],
        )
        .note("From Elevated on the service cleans up, from High on it refuses work and threads that allocate wait."),
        Panel::lines(
            "Used, and the limit",
            [
                Query::called("used_bytes", "used"),
                Query::called("limit_bytes", "limit ({{source}})").dashed(),
                Query::called("headroom_bytes", "left below the limit that decides").dashed(),
                Query::called("resident_bytes", "resident"),
                Query::called("peak_resident_bytes", "highest resident").dashed(),
            ],
        ),
        Panel::timeline("Pressure level", Query::of("pressure_level")),
        Panel::stacked(
            "What resident memory is made of",
            [
                Query::new("sum({heap_allocated_bytes})", "allocated"),
                Query::new("sum({heap_active_bytes}) - sum({heap_allocated_bytes})", "fragmentation: active, not allocated"),
                Query::new("sum({heap_dirty_bytes})", "dirty: a purge returns it"),
                Query::new("sum({heap_metadata_bytes})", "the allocator's records"),
                Query::new(
                    "clamp_min(sum({resident_bytes}) - sum({heap_active_bytes}) - sum({heap_dirty_bytes}) - sum({heap_metadata_bytes}), 0)",
                    "outside of the heap",
                ),
            ],
        )
        .note("The sum of what is chosen: choose one instance to see one. Active memory that nobody has touched is not resident, so the stack can be higher than what is."),
        Panel::lines(
            "More of the heap",
            [
                Query::called("heap_resident_bytes", "resident at most"),
                Query::called("heap_thread_cache_bytes", "in threads' caches"),
                Query::called("churn_bytes", "churn"),
                Query::called("reserved_bytes", "reserved"),
                Query::called("reserved_unfilled_bytes", "reserved, not filled"),
            ],
        ),
    ]
}

fn scopes() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Held by open scopes",
            [Query::new(
                "topk(10, {scope_held_bytes})",
                "{{instance}} {{site}}",
            )],
        )
        .note("The ten largest."),
        Panel::lines(
            "Past their limit, per minute",
            [Query::of("scope_exceeded_total")],
        )
        .width(6),
        Panel::lines(
            "Requests refused, per minute",
            [Query::of("requests_refused_total")],
        )
        .width(6),
        Panel::table(
            "Sites",
            [
                Query::new(
                    "max by (instance, site) ({scope_peak_bytes})",
                    "most that one held",
                ),
                Query::new(
                    "max by (instance, site) ({scope_limit_bytes})",
                    "limit passed last",
                ),
                Query::new("sum by (instance, site) ({scope_held_bytes})", "held now"),
                Query::new(
                    "sum by (instance, site) ({scope_calls_total over range})",
                    "calls",
                ),
                Query::new(
                    "sum by (instance, site) ({scope_exceeded_total over range})",
                    "past the limit",
                ),
            ],
        )
        .note("Calls and crossings in the time that is shown."),
        Panel::lines(
            "Calls per minute",
            [Query::new(
                "topk(10, {scope_calls_total})",
                "{{instance}} {{site}}",
            )],
        )
        .note("The ten most called."),
        Panel::lines(
            "Calls of periodic sites per minute",
            [Query::of("periodic_calls_total")],
        ),
    ]
}

fn cleanups() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Cleanups per minute",
            [
                Query::called("cleanups_total", "cleanups"),
                Query::called("cleanups_futile_total", "futile"),
            ],
        ),
        Panel::lines(
            "Given back, per second",
            [
                Query::called("cleanup_returned_bytes_total", "to the kernel"),
                Query::called("hook_freed_bytes_total", "freed by {{hook}}"),
            ],
        ),
        Panel::stacked(
            "What hooks say they could give back",
            [Query::of("reclaimable_bytes")],
        ),
        Panel::lines(
            "Calls of hooks per minute",
            [
                Query::called("hook_calls_total", "{{hook}}"),
                Query::called("hook_failures_total", "{{hook}} failed"),
            ],
        ),
        Panel::lines(
            "Growth since the last cleanup",
            [
                Query::called("resident_bytes", "resident"),
                Query::called("resident_at_last_cleanup_bytes", "after the last cleanup"),
                Query::new(
                    "{resident_at_last_cleanup_bytes} + {cleanup_growth_threshold_bytes}",
                    "{{instance}} the next is due",
                )
                .dashed(),
            ],
        ),
        Panel::lines(
            "Returned by the last cleanup",
            [Query::of("last_cleanup_returned_bytes")],
        ),
        Panel::lines(
            "Processor time of cleanups, of one core",
            [Query::of("cleanup_cpu_seconds_total")],
        ),
        Panel::lines(
            "The allocator gives pages back sooner",
            [Query::of("decay_hastened")],
        ),
    ]
}

fn pressure() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Threads that wait for memory, of one thread's time",
            [Query::of("brake_paused_seconds_total")],
        ),
        Panel::lines(
            "Such waits per minute",
            [
                Query::called("brake_pauses_total", "waits"),
                Query::called("brake_pauses_at_bound_total", "in vain"),
            ],
        ),
        Panel::lines(
            "The longest such wait",
            [Query::of("brake_worst_pause_seconds")],
        )
        .width(8),
        Panel::lines(
            "Waiting for a reservation",
            [Query::of("reservations_waiting")],
        )
        .width(8),
        Panel::lines(
            "Time stalled for memory (PSI)",
            [Query::of("pressure_stall_seconds_total")],
        )
        .width(8),
        Panel::lines(
            "Told by kernel and systemd, per minute",
            [
                Query::of("notices_total"),
                Query::called("notices_false_total", "false alarms"),
            ],
        ),
        Panel::lines(
            "Looks per minute",
            [
                Query::called("looks_total", "looks"),
                Query::called("heap_line_passed_total", "because the heap grew"),
            ],
        ),
    ]
}

fn setting() -> Vec<Panel> {
    vec![
        Panel::table(
            "Findings: what is wrong with the set-up",
            [Query::new(
                "sum by (instance, severity, code) ({findings})",
                "how many",
            )],
        )
        .note("`findings()` has the whole text and an advice for each."),
        Panel::lines(
            "Memory of the machine",
            [
                Query::called("system_total_bytes", "all"),
                Query::called("system_available_bytes", "available"),
            ],
        )
        .width(8),
        Panel::lines(
            "Address space and swap",
            [
                Query::called("virtual_bytes", "virtual"),
                Query::called("heap_mapped_bytes", "heap, mapped"),
                Query::called("heap_retained_bytes", "heap, retained"),
                Query::called("swap_bytes", "in swap"),
            ],
        )
        .width(8),
        Panel::lines(
            "Age of the slow figures",
            [Query::of("reading_age_seconds")],
        )
        .width(8),
    ]
}

/// Panels from left to right, and a new line where the next does not fit.
fn arranged(sections: Vec<Section>) -> Vec<Value> {
    let mut placed = Vec::new();
    let (mut x, mut y, mut line_height) = (0, 0, 0);
    let mut id = 1..;
    let mut next_id = || id.next().expect("no end");
    for (title, panels) in sections {
        if let Some(title) = title {
            y += line_height;
            (x, line_height) = (0, 0);
            let grid = json!({ "x": 0, "y": y, "w": COLUMNS, "h": 1 });
            placed.push(json!({
                "id": next_id(), "type": "row", "title": title, "collapsed": false, "gridPos": grid, "panels": [],
            }));
            y += 1;
        }
        for panel in panels {
            if x + panel.width > COLUMNS {
                y += line_height;
                (x, line_height) = (0, 0);
            }
            placed.push(panel.to_json(next_id(), x, y));
            x += panel.width;
            line_height = line_height.max(panel.height);
        }
    }
    placed
}

fn prometheus() -> Value {
    json!({
        "type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus",
        "hide": 0, "includeAll": false, "multi": false, "options": [], "refresh": 1, "regex": "", "skipUrlSync": false,
    })
}

/// A choice of several, at first all.
fn choice(name: &str, label: &str, query: &str) -> Value {
    json!({
        "type": "query", "name": name, "label": label, "datasource": datasource(), "query": query, "definition": query,
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "hide": 0, "includeAll": true, "multi": true, "options": [], "refresh": 2, "regex": "", "skipUrlSync": false, "sort": 1,
    })
}

/// When alerts fired, over all panels.
fn alerts() -> Value {
    json!({
        "name": "Alerts", "datasource": datasource(), "enable": true, "hide": false, "iconColor": "red",
        "expr": r#"ALERTS{alertstate="firing", job=~"$job", instance=~"$instance"}"#,
        "titleFormat": "{{alertname}}", "textFormat": "{{instance}} {{site}}", "step": "30s", "useValueForTime": false,
    })
}
