//! What operators copy from `deploy/`: that it fits the code. What Prometheus makes of it is for `ci/monitoring`.
//!
//! `PLIMSOLL_TEST_REGENERATE=1 cargo test --features telemetry --test deploy` writes the dashboard anew.

mod alerts;
mod dashboard;
mod panel;
mod query;
mod shape;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plimsoll::telemetry::{Kind, Metric, metrics};
use plimsoll::{ManagerStats, MemoryManager, PressureLevel};
use serde_json::{Value, json};

use alerts::{Alert, names};
use dashboard::dashboard;

const REGENERATE: &str = "PLIMSOLL_TEST_REGENERATE";

/// Those that were asked for; there may be more.
const WANTED: [&str; 9] = [
    "RedisHighMemory",
    "ContainerHighMemory",
    "ContainerRestarting",
    "ServiceNearMemoryLimit",
    "MemoryLimitExceeded",
    "CleanupFutile",
    "AllocationBraked",
    "TimeToLimit",
    "OomKilled",
];

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn alerts() -> Vec<Alert> {
    Alert::all(&read("deploy/prometheus/alerts.yml"))
}

fn alert(name: &str) -> Alert {
    let mut alerts = alerts().into_iter();
    alerts
        .find(|alert| alert.name == name)
        .unwrap_or_else(|| panic!("no alert {name}"))
}

fn defaults() -> ManagerStats {
    MemoryManager::builder().build().unwrap().stats()
}

fn known(name: &str) -> Option<&'static Metric> {
    metrics().find(|metric| metric.name() == name)
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Each panel's title with each of its queries.
fn targets(dashboard: &Value) -> impl Iterator<Item = (&str, &Value)> {
    panels(dashboard).iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (panel["title"].as_str().unwrap(), target))
    })
}

fn expr(target: &Value) -> &str {
    target["expr"].as_str().unwrap()
}

#[test]
fn the_dashboard_is_made_from_the_table() {
    let file = "deploy/grafana/plimsoll.json";
    let made = dashboard();
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(path(file), format!("{made:#}\n")).unwrap();
    }
    let there: Value = serde_json::from_str(&read(file)).unwrap();
    assert!(
        there == made,
        "{file} is stale: run this test with {REGENERATE}=1"
    );
}

#[test]
fn every_metric_is_in_a_panel_and_no_panel_shows_another() {
    let dashboard = dashboard();
    let shown: BTreeSet<_> = targets(&dashboard)
        .flat_map(|(_, target)| names(expr(target)))
        .collect();
    let table: BTreeSet<_> = metrics().map(Metric::name).collect();
    let missing: Vec<_> = table.difference(&shown).collect();
    let unknown: Vec<_> = shown.difference(&table).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing {missing:?}, unknown {unknown:?}"
    );
}

#[test]
fn counters_are_shown_by_what_they_grow_and_gauges_as_they_are() {
    let dashboard = dashboard();
    for (title, target) in targets(&dashboard) {
        for name in names(expr(target)) {
            for (position, _) in expr(target).match_indices(&format!("{name}{{")) {
                let before = &expr(target)[..position];
                let grows = before.ends_with("rate(") || before.ends_with("increase(");
                let is_counter = known(name).unwrap().kind() == Kind::Counter;
                assert_eq!(grows, is_counter, "{title}: {}", expr(target));
            }
        }
    }
}

#[test]
fn each_query_is_of_what_is_chosen_and_legends_name_labels_that_are_there() {
    let dashboard = dashboard();
    for (title, target) in targets(&dashboard) {
        let (expr, legend) = (expr(target), target["legendFormat"].as_str().unwrap());
        let named = names(expr);
        let chosen = expr
            .matches(r#"{job=~"$job", instance=~"$instance"}"#)
            .count();
        assert_eq!(chosen, named.len(), "{title}: {expr}");
        for label in legend.split("{{").skip(1) {
            let (label, _) = label.split_once("}}").unwrap();
            let is_there = |name: &&str| known(name).unwrap().label_names().contains(&label);
            assert!(
                label == "instance" || named.iter().any(is_there),
                "{title}: {label}"
            );
        }
    }
}

#[test]
fn no_two_panels_lie_on_one_another() {
    let dashboard = dashboard();
    let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["id"]);
        let grid = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        for x in grid("x")..grid("x") + grid("w") {
            for y in grid("y")..grid("y") + grid("h") {
                assert!(x < 24 && taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}

#[test]
fn the_dashboard_has_the_fields_that_grafana_publishes() {
    assert_eq!(shape::mistakes(&dashboard()), [""; 0]);
}

#[test]
fn a_mistake_in_a_dashboard_is_found() {
    let table: [(&str, Value, &str); 8] = [
        ("/schemaVersion", json!("39"), "not a whole number"),
        (
            "/panels/0/gridPos/w",
            json!(25),
            "not a whole number in its range",
        ),
        ("/panels/0/type", json!("graph"), "not one of"),
        (
            "/panels/0/options/colourMode",
            json!("value"),
            r#"called "colourMode""#,
        ),
        (
            "/panels/0/fieldConfig/defaults/unit",
            json!("MB"),
            "not one of",
        ),
        ("/panels/0/targets", json!({}), "not a list"),
        (
            "/templating/list/1/multi",
            json!("yes"),
            "not true or false",
        ),
        ("/annotations", json!(null), "not an object"),
    ];
    for (place, value, found) in table {
        let mut wrong = dashboard();
        let (parent, field) = place.rsplit_once('/').unwrap();
        wrong.pointer_mut(parent).unwrap()[field] = value;
        let mistakes = shape::mistakes(&wrong);
        let is_found = mistakes.iter().any(|mistake| mistake.contains(found));
        assert!(is_found, "{place}: {mistakes:?}");
    }
    let mut wrong = dashboard();
    wrong.as_object_mut().unwrap().remove("templating");
    assert_eq!(shape::mistakes(&wrong).len(), 1);
}

#[test]
fn alerts_ask_for_metrics_that_are_there() {
    let alerts = alerts();
    let there: BTreeSet<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(there.len(), alerts.len(), "one twice");
    let wanted = BTreeSet::from(WANTED);
    assert!(wanted.is_subset(&there), "{:?}", wanted.difference(&there));
    for alert in &alerts {
        for name in names(&alert.text) {
            assert!(known(name).is_some(), "{}: no metric {name}", alert.name);
        }
        for part in ["severity: ", "summary: ", "description: ", "Next: "] {
            let is_redis = part == "Next: " && alert.name.starts_with("Redis");
            assert!(
                is_redis || alert.text.contains(part),
                "{}: {part}",
                alert.name
            );
        }
    }
}

#[test]
fn alerts_compare_with_the_lines_of_the_code() {
    let stats = defaults();
    for name in ["RedisHighMemory", "ContainerHighMemory"] {
        let line = format!("> {}", stats.critical_percent / 100.0);
        assert!(alert(name).expr().ends_with(&line), "{name}: {line}");
    }
    let level = |level: PressureLevel| format!(">= {}", level as u8);
    assert!(
        alert("RestartedNearLimit")
            .expr()
            .ends_with(&level(PressureLevel::High))
    );
    for name in ["TimeToLimit", "CleanupFutile"] {
        assert!(
            alert(name)
                .expr()
                .ends_with(&level(PressureLevel::Elevated)),
            "{name}"
        );
    }

    // Each service's own line, by a label value that it exports.
    let snapshot = MemoryManager::builder().build().unwrap().snapshot();
    let mut high = None;
    known("plimsoll_level_begins_ratio")
        .unwrap()
        .visit(&snapshot, |labels, value| {
            if labels == ["high"] {
                high = Some(value.as_f64());
            }
        });
    assert_eq!(high, Some(stats.max_memory_percent / 100.0));
    let expr = alert("ServiceNearMemoryLimit").expr();
    assert!(
        expr.ends_with(r#"> ignoring (level) plimsoll_level_begins_ratio{level="high"}"#),
        "{expr}"
    );
}

#[test]
fn each_alert_has_a_case_in_which_it_fires() {
    let tests = read("deploy/prometheus/alerts_test.yml");
    let fires: BTreeSet<_> = tests
        .split("- alertname: ")
        .skip(1)
        .filter(|case| {
            case.lines()
                .nth(2)
                .is_some_and(|line| line.trim() == "exp_alerts:")
        })
        .map(|case| case.lines().next().unwrap_or_default().trim().to_owned())
        .collect();
    let all: BTreeSet<_> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(fires, all);
}

#[test]
fn prometheus_looks_for_the_example_where_it_listens() {
    let config = read("deploy/prometheus/prometheus.yml");
    let (_, service) = config.split_once("job_name: service").unwrap();
    let (_, port) = service.split_once("127.0.0.1:").unwrap();
    let port = port.split('"').next().unwrap();
    let help = read("examples/service/args.rs");
    for told in [
        format!("listen on that port; 0 takes any free one [{port}]"),
        "listen on that address, 0.0.0.0 for all (in a container) [127.0.0.1]".to_owned(),
    ] {
        assert!(help.contains(&told), "{told}");
    }
    assert!(config.contains("- alerts.yml"));
}
