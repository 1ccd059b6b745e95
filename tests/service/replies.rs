//! What is not taken is refused with a status and a reason.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::process::{Counts, Service};
use crate::tools::{self, Reply, curl};

const EVENT: &str =
    r#"{"id":"1","exchange":"binance","symbol":"BTC-USDT","price":1.5,"size":2.0,"ts_ms":1}"#;

struct Client {
    service: Service,
    scratch: TempDir,
}

impl Client {
    fn new() -> Self {
        Client {
            service: Service::start(),
            scratch: TempDir::new().unwrap(),
        }
    }

    fn post(&self, body: &str) -> Reply {
        let file: PathBuf = self.scratch.path().join("body");
        fs::write(&file, body).unwrap();
        curl(&[
            "--data-binary",
            &format!("@{}", file.display()),
            &self.service.url("/events"),
        ])
    }

    fn get(&self, path: &str) -> Reply {
        curl(&[&self.service.url(path)])
    }
}

fn reason(reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn one_event_and_an_array_of_events_are_taken() {
    if !tools::have(&["curl"]) {
        return;
    }
    let client = Client::new();
    let reply = |body: &str| tools::json(&client.post(body)).to_string();
    assert_eq!(reply(EVENT), r#"{"accepted":1,"duplicates":0}"#);
    assert_eq!(reply(EVENT), r#"{"accepted":0,"duplicates":1}"#);
    let second = EVENT.replace(r#""id":"1""#, r#""id":"2""#);
    assert_eq!(
        reply(&format!("[{EVENT},{second},{second}]")),
        r#"{"accepted":1,"duplicates":2}"#
    );
    assert_eq!(reply("[]"), r#"{"accepted":0,"duplicates":0}"#);
    assert_eq!(client.get("/healthz").body, "ok\n");
}

#[test]
fn a_malformed_body_is_refused_whole_with_the_reason() {
    if !tools::have(&["curl"]) {
        return;
    }
    let client = Client::new();
    let without_price = EVENT.replace(r#""price":1.5,"#, "");
    let table = [
        ("", "EOF"),
        ("7", "an event or an array of events"),
        ("{\"id\":", "EOF"),
        (without_price.as_str(), "missing field `price`"),
        (
            &format!("[{EVENT},{without_price}]"),
            "missing field `price`",
        ),
        (&format!("{EVENT} more"), "trailing characters"),
    ];
    for (body, part) in table {
        let reply = client.post(body);
        assert_eq!(reply.status, 400, "{body}: {reply:?}");
        assert!(reason(&reply).contains(part), "{body}: {reply:?}");
    }
    assert_eq!(client.service.settled().accepted, 0);
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    if !tools::have(&["curl"]) {
        return;
    }
    let client = Client::new();
    let reply = client.post(&" ".repeat((8 << 20) + 1));
    assert_eq!(reply.status, 413);
    assert!(reason(&reply).contains("limit"), "{reply:?}");
}

#[test]
fn a_batch_over_its_memory_limit_is_refused_whole_and_counted() {
    if !tools::have(&["curl"]) {
        return;
    }
    let client = Client::new();
    let event = r#"{"id":"1","exchange":"","symbol":"","price":1,"size":1,"ts_ms":1}"#;
    let events = 100_000;
    let body = format!("[{}]", vec![event; events].join(","));

    let reply = client.post(&body);
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(
        reason(&reply).contains("memory limit of 8.0 MiB"),
        "{reply:?}"
    );
    let expected = Counts {
        received: events as u64,
        accepted: 0,
        duplicates: 0,
        rejected: events as u64,
        held: 0,
        evicted: 0,
    };
    assert_eq!(client.service.counts(), expected);

    // The limit was that batch's alone.
    assert_eq!(client.post(EVENT).status, 200);
}

#[test]
fn an_unknown_path_is_not_found() {
    if !tools::have(&["curl"]) {
        return;
    }
    let client = Client::new();
    assert_eq!(client.get("/nothing").status, 404);
    assert_eq!(client.get("/events").status, 405);
}
