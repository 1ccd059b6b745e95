use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::metrics::{Counter, Gauge, Histogram, KeyName, SharedString, with_local_recorder};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use proptest::prelude::*;

use super::*;
use crate::manager::{ManagerStats, MemoryManager};
use crate::usage::fake;

fn stats() -> ManagerStats {
    MemoryManager::builder().build().unwrap().stats()
}

fn snapshot(stats: &ManagerStats) -> Snapshot {
    Snapshot::of(stats.clone(), Vec::new())
}

/// What the recorder has got since the last call, by name; of series with labels one.
fn received(recorder: &DebuggingRecorder) -> HashMap<String, (DebugValue, bool)> {
    let all = recorder.snapshotter().snapshot().into_vec();
    all.into_iter()
        .map(|(key, _, help, value)| (key.key().name().to_owned(), (value, help.is_some())))
        .collect()
}

#[test]
fn counters_are_whole_numbers_and_those_of_seconds_are_gauges() {
    let snapshot = snapshot(&stats());
    for metric in metrics() {
        metric.visit(&snapshot, |_, value| {
            let is_whole = matches!(value, Value::U64(_));
            if metric.kind() == Kind::Counter {
                assert_eq!(is_whole, is_count(metric), "{}", metric.name());
            }
        });
    }
}

#[test]
fn what_is_unknown_by_now_is_not_a_number_and_comes_back() {
    let known = ManagerStats {
        usage: fake::with_unused(fake::usage(5, Some(10)), 1),
        time_to_limit_ms: Some(2500),
        ..stats()
    };
    let unknown = ManagerStats {
        usage: fake::usage(6, None),
        time_to_limit_ms: None,
        ..known.clone()
    };
    let (recorder, mut publisher) = (DebuggingRecorder::new(), Publisher::new());
    let mut publish = |stats| {
        with_local_recorder(&recorder, || publisher.publish(&snapshot(stats)));
        let mut received = received(&recorder);
        move |name: &str| match received.remove(&format!("plimsoll_{name}")) {
            Some((DebugValue::Gauge(value), _)) => Some(value.into_inner()),
            _ => None,
        }
    };
    let mut first = publish(&known);
    assert_eq!(first("time_to_limit_seconds"), Some(2.5));
    assert_eq!(first("used_ratio"), Some(0.5));
    assert_eq!(first("heap_dirty_bytes"), Some(1.0));
    assert_eq!(first("swap_bytes"), None, "never known");
    let mut second = publish(&unknown);
    for name in ["time_to_limit_seconds", "used_ratio", "heap_dirty_bytes"] {
        assert!(second(name).is_some_and(f64::is_nan), "{name}");
    }
    assert_eq!(second("resident_bytes"), Some(6.0));
    assert_eq!(second("swap_bytes"), None);
    let mut third = publish(&known);
    assert_eq!(third("used_ratio"), Some(0.5));
}

#[test]
fn a_counter_that_fell_stands_still_and_grows_again() {
    let (recorder, mut publisher) = (DebuggingRecorder::new(), Publisher::new());
    let mut stats = stats();
    let table = [(5, 5), (7, 7), (3, 7), (4, 8), (4, 8), (0, 8), (9, 17)];
    for (cleanups_total, expected) in table {
        stats.cleanups_total = cleanups_total;
        with_local_recorder(&recorder, || publisher.publish(&snapshot(&stats)));
        let mut received = received(&recorder);
        let (value, _) = received.remove("plimsoll_cleanups_total").unwrap();
        assert_eq!(value, DebugValue::Counter(expected));
    }
}

#[test]
fn a_recorder_that_comes_late_is_told_units_and_texts_as_well() {
    let mut publisher = Publisher::new();
    let snapshot = snapshot(&stats());
    publisher.publish(&snapshot);
    let recorder = DebuggingRecorder::new();
    with_local_recorder(&recorder, || publisher.publish(&snapshot));
    let received = received(&recorder);
    assert!(received.contains_key("plimsoll_resident_bytes"));
    assert!(received.values().all(|(_, has_help)| *has_help));
}

/// Panics at the gauge of this name.
struct Panics<'a>(&'a DebuggingRecorder, &'static str);

impl Recorder for Panics<'_> {
    fn describe_counter(&self, key: KeyName, unit: Option<::metrics::Unit>, help: SharedString) {
        self.0.describe_counter(key, unit, help);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<::metrics::Unit>, help: SharedString) {
        self.0.describe_gauge(key, unit, help);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<::metrics::Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        assert_ne!(key.name(), self.1);
        self.0.register_gauge(key, metadata)
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_round_that_a_panic_ends_is_made_up_for_by_the_next() {
    let known = ManagerStats {
        time_to_limit_ms: Some(2500),
        ..stats()
    };
    let unknown = ManagerStats {
        time_to_limit_ms: None,
        ..known.clone()
    };
    let (recorder, mut publisher) = (DebuggingRecorder::new(), Publisher::new());
    let mut bad = Panics(&recorder, "");
    with_local_recorder(&bad, || publisher.publish(&snapshot(&known)));
    bad.1 = "plimsoll_build_info";
    let round = || with_local_recorder(&bad, || publisher.publish(&snapshot(&unknown)));
    assert!(catch_unwind(AssertUnwindSafe(round)).is_err());
    let _ = received(&recorder);
    bad.1 = "";
    with_local_recorder(&bad, || publisher.publish(&snapshot(&unknown)));
    let received = received(&recorder);
    let (value, _) = &received["plimsoll_time_to_limit_seconds"];
    assert!(matches!(value, DebugValue::Gauge(value) if value.is_nan()));
}

proptest! {
    /// What is published never falls, and grows by as much as the counter did.
    #[test]
    fn growth_is_never_lost(counts in proptest::collection::vec(0u64..1000, 1..50)) {
        let mut growth = Growth::default();
        let (mut last, mut published) = (0, 0);
        for count in counts {
            let now = growth.to(count);
            prop_assert_eq!(now - published, count.saturating_sub(last));
            (last, published) = (count, now);
        }
    }
}
