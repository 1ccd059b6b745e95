//! Every event that was sent is somewhere.

use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Counts, Service, TOKEN};
use crate::tools::{self, Load, curl, hey, wrk};

#[test]
fn a_repeated_batch_is_accepted_once_and_counted_every_time() {
    if !tools::have(&["hey", "curl"]) {
        return;
    }
    let service = Service::start();
    let scratch = TempDir::new().unwrap();
    let file = scratch.path().join("batch.json");
    fs::write(&file, batch(0..10)).unwrap();

    hey(&service.url("/events"), &file, 2000);

    let expected = Counts {
        received: 20_000,
        accepted: 10,
        duplicates: 19_990,
        rejected: 0,
        held: 10,
        evicted: 0,
    };
    assert_eq!(service.counts(), expected);
}

#[test]
fn unique_events_survive_cleanups_under_load_or_are_counted_as_evicted() {
    if !tools::have(&["wrk", "curl"]) {
        return;
    }
    let service = Service::start();
    let load = Load {
        connections: 8,
        seconds: 3,
        batch: 5,
        symbol_bytes: 8,
        pause_ms: 0,
    };
    let done = AtomicBool::new(false);
    let completed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(clean_up(&service)["outcome"], "cleaned");
                // The sum over held and evicted holds while both change.
                service.counts();
            }
        });
        let completed = wrk(&service.url("/"), "unique", &load);
        done.store(true, Ordering::Relaxed);
        completed
    });

    let counts = service.settled();
    assert!(completed > 0 && counts.evicted > 0, "{counts:?}");
    assert_eq!((counts.duplicates, counts.rejected), (0, 0));
    let answered = completed * load.batch;
    let open = load.connections * load.batch;
    assert!(
        (answered..=answered + open).contains(&counts.accepted),
        "{answered} events answered, {open} at most were under way: {counts:?}"
    );
}

#[test]
fn a_cleanup_says_what_it_did() {
    if !tools::have(&["wrk", "curl"]) {
        return;
    }
    let service = Service::start();
    let load = Load {
        connections: 2,
        seconds: 2,
        batch: 50,
        symbol_bytes: 100,
        pause_ms: 0,
    };
    wrk(&service.url("/"), "cleanup", &load);
    let before = service.settled();

    let report = clean_up(&service);
    assert_eq!(report["outcome"], "cleaned");
    assert_eq!(report["reason"], "forced");
    assert_eq!(report["purged"], true);
    assert!(report["rss_before_bytes"].as_u64() > Some(0));
    assert!(report["rss_after_bytes"].as_u64() > Some(0));
    let hook = &report["hooks"][0];
    assert_eq!(
        (&hook["name"], &hook["outcome"]),
        (&json!("event cache"), &json!("completed"))
    );
    let claimed = hook["claimed_bytes"].as_u64().unwrap();
    assert!(
        claimed > 0 && hook["freed_bytes"].as_u64() >= Some(claimed),
        "{hook}"
    );

    let after = service.settled();
    assert!(after.held < before.held, "{before:?} {after:?}");
    assert_eq!(after.evicted - before.evicted, before.held - after.held);
    assert_eq!(after.accepted, before.accepted);
}

#[test]
fn the_oldest_go_and_the_newest_stay() {
    if !tools::have(&["curl"]) {
        return;
    }
    let service = Service::start();
    let post = |numbers: Range<u64>| {
        let url = service.url("/events");
        tools::json(&curl(&["--data", &batch(numbers), &url]))
    };
    assert_eq!(post(0..1000), json!({"accepted": 1000, "duplicates": 0}));
    clean_up(&service);
    assert_eq!(post(999..1000), json!({"accepted": 0, "duplicates": 1}));
    assert_eq!(post(0..1), json!({"accepted": 1, "duplicates": 0}));
}

/// An array of events with these numbers as ids.
fn batch(numbers: Range<u64>) -> String {
    let events = numbers.map(|number| {
        json!({
            "id": number.to_string(),
            "exchange": "binance",
            "symbol": "BTC-USDT",
            "price": 1.5,
            "size": 2.0,
            "ts_ms": 1,
        })
    });
    Value::from_iter(events).to_string()
}

fn clean_up(service: &Service) -> Value {
    let token = format!("x-plimsoll-token: {TOKEN}");
    let url = service.url("/cleanup");
    assert_eq!(
        curl(&["--request", "POST", &url]).status,
        403,
        "not for everybody"
    );
    tools::json(&curl(&["--request", "POST", "--header", &token, &url]))
}
