//! Feature `metrics`: the figures as a recorder gets them.

mod support;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use metrics::{Unit, with_local_recorder};
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use plimsoll::telemetry::facade::{self, Publisher};
use plimsoll::telemetry::{self, Kind};
use plimsoll::{ClaimedBytes, CleanupHook, CleanupRequest};
use support::figures::{
    Samples, assert_hostile_site, assert_same, figures, manager, register, within_a_second,
};
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const SECOND: Duration = Duration::from_secs(1);

/// What came in under one name.
#[derive(Debug, Default)]
struct Received {
    kinds: Vec<MetricKind>,
    unit: Option<Unit>,
    help: Option<String>,
    samples: Samples,
}

/// All that has come in; gauges and counters are 0 afterwards.
fn received(recorder: &Snapshotter) -> HashMap<String, Received> {
    let mut all = HashMap::<_, Received>::new();
    for (key, unit, help, value) in recorder.snapshot().into_vec() {
        let (kind, key) = key.into_parts();
        let received = all.entry(key.name().to_owned()).or_default();
        let labels = key.labels();
        let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => panic!("{key}"),
        };
        received.unit = unit;
        received.help = help.map(|help| help.to_string());
        received.kinds.push(kind);
        assert!(received.samples.insert(labels.collect(), value).is_none());
    }
    all
}

#[test]
fn the_recorder_gets_the_whole_table_and_nothing_else() {
    let recorder = DebuggingRecorder::new();
    let snapshot = manager().snapshot();
    with_local_recorder(&recorder, || Publisher::new().publish(&snapshot));
    let mut found = received(&recorder.snapshotter());
    assert_hostile_site(&found["plimsoll_scope_peak_bytes"].samples);
    for (metric, expected) in figures(&snapshot) {
        let name = metric.name();
        let found = found.remove(name).unwrap_or_else(|| panic!("no {name}"));
        assert_same(metric, &found.samples, &expected);
        assert_eq!(found.help.as_deref(), Some(metric.help()), "{name}");
        let (is_counter, unit) = match (metric.kind(), metric.unit()) {
            (Kind::Counter, telemetry::Unit::Seconds) => (false, Some(Unit::Seconds)),
            (Kind::Counter, telemetry::Unit::Bytes) => (true, Some(Unit::Bytes)),
            (Kind::Counter, _) => (true, Some(Unit::Count)),
            (_, telemetry::Unit::Bytes) => (false, Some(Unit::Bytes)),
            (_, telemetry::Unit::Seconds) => (false, Some(Unit::Seconds)),
            _ => (false, None),
        };
        assert_eq!(found.unit, unit, "{name}");
        let is_kind = |kind: &MetricKind| (*kind == MetricKind::Counter) == is_counter;
        assert!(found.kinds.iter().all(is_kind), "{name}: {found:?}");
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_gauge_whose_label_is_gone_is_not_a_number_any_more() {
    const NAME: &str = "plimsoll_reclaimable_bytes";
    let labels = vec![("hook".to_owned(), "goes".to_owned())];
    let goes = register(manager(), "goes");
    let (recorder, mut publisher) = (DebuggingRecorder::new(), Publisher::new());
    let mut publish_when = |is_there: bool| {
        let mut has_it = !is_there;
        while has_it != is_there {
            has_it = false;
            within_a_second(|snapshot| {
                has_it = snapshot.hooks().iter().any(|hook| hook.hook == "goes");
            });
        }
        with_local_recorder(&recorder, || publisher.publish(&manager().snapshot()));
        received(&recorder.snapshotter())
    };
    let first = publish_when(true);
    assert_eq!(first[NAME].samples[&labels], 123.0);
    drop(goes);
    let second = publish_when(false);
    for (name, received) in &second {
        for (found, value) in &received.samples {
            let is_gone = name == NAME && *found == labels;
            assert_eq!(value.is_nan(), is_gone, "{name} {found:?}: {value}");
        }
    }
    // Once is enough: the recorder keeps it.
    assert_eq!(publish_when(false)[NAME].samples[&labels], 0.0);
}

/// A hook that is slow to say what it could give back, when the publishing thread asks.
struct Slow<F>(F);

impl<F: Fn() + Send + Sync> CleanupHook for Slow<F> {
    fn cleanup(&self, _: &CleanupRequest) -> ClaimedBytes {
        ().into()
    }

    fn estimate(&self) -> Option<u64> {
        if std::thread::current().name() == Some("plimsoll-facade") {
            (self.0)();
        }
        None
    }
}

#[test]
fn a_thread_publishes_until_its_guard_is_dropped() {
    let recorder = DebuggingRecorder::new();
    let received = {
        let recorder = recorder.snapshotter();
        move || received(&recorder)
    };
    recorder.install().unwrap();
    manager();
    let publishing = facade::start(SECOND).unwrap();
    for round in 0..3 {
        wait_until("a round", || {
            let name = "plimsoll_resident_bytes";
            let resident = received().remove(name);
            resident.is_some_and(|resident| resident.samples[&vec![]] > 0.0)
        });
        println!("round {round}");
    }
    #[cfg(target_os = "linux")]
    let publishing = {
        let mut publishing = Some(publishing);
        // Its thread is not there: nobody to wait for.
        let status = support::fork::fork(|| {
            drop(publishing.take());
            0
        });
        assert_eq!(status, 0);
        publishing
    };
    drop(publishing);
    #[cfg(target_os = "linux")]
    wait_until("no thread of that name", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        !names.any(|name| name.trim() == "plimsoll-facade")
    });
    received();
    let rounds = within_a_second(|_| ());
    wait_until("more rounds' time", || {
        manager().snapshot().age() < rounds.age().saturating_sub(2 * SECOND)
    });
    let late = received();
    let resident = &late["plimsoll_resident_bytes"].samples;
    assert_eq!(resident[&vec![]], 0.0, "nobody publishes");

    // One that is in the middle of a round is not waited for.
    let (entered, wait_entered) = channel();
    let (leave, wait_leave) = channel::<()>();
    let (entered, wait_leave) = (Mutex::new(entered), Mutex::new(wait_leave));
    let hook = manager().register_cleanup(Slow(move || {
        let _ = entered.lock().unwrap().send(());
        let _ = wait_leave.lock().unwrap().recv();
    }));
    // A round that finds a snapshot of this second asks nobody: then it is the next.
    let publishing = facade::start(SECOND).unwrap();
    wait_entered.recv().unwrap();
    let dropping = std::thread::spawn(move || drop(publishing));
    wait_until("the end of the drop", || dropping.is_finished());
    drop((leave, hook));
}
