//! The clients: curl, hey and wrk.

use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Whether all of these are installed. On CI a missing one is a failure, elsewhere a reason to skip.
pub fn have(tools: &[&str]) -> bool {
    tools.iter().all(|tool| {
        let missing = matches!(
            Command::new(tool).arg("--version").output(),
            Err(error) if error.kind() == io::ErrorKind::NotFound
        );
        if missing {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{tool} is missing: apt-get install {tool}"
            );
            eprintln!("skipped: {tool} is missing");
        }
        !missing
    })
}

/// What a tool prints; it may take two minutes.
fn output(tool: &str, arguments: &[&str]) -> String {
    let done = Command::new("timeout")
        .args(["--kill-after=5", "120", tool])
        .args(arguments)
        .output()
        .expect("coreutils are installed");
    assert!(done.status.success(), "{tool} {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// An HTTP reply.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

pub fn curl(arguments: &[&str]) -> Reply {
    let always = ["--silent", "--show-error", "--write-out", "\n%{http_code}"];
    let text = output("curl", &[&always, arguments].concat());
    let (body, status) = text.rsplit_once('\n').unwrap();
    Reply {
        status: status.parse().unwrap(),
        body: body.to_owned(),
    }
}

/// The body of a successful reply.
pub fn json(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

/// Posts the same body `requests` times over 8 connections; every reply has to be 200.
pub fn hey(url: &str, body: &Path, requests: u64) {
    let body = body.to_str().unwrap();
    let requests = requests.to_string();
    let text = output(
        "hey",
        &["-n", &requests, "-c", "8", "-m", "POST", "-D", body, url],
    );
    assert!(
        text.contains(&format!("[200]\t{requests} responses")),
        "{text}"
    );
    assert!(!text.contains("Error distribution"), "{text}");
}

/// A load of unique events.
pub struct Load {
    pub connections: u64,
    pub seconds: u64,
    pub batch: u64,
    pub symbol_bytes: u64,
    pub pause_ms: u64,
}

/// Posts batches of events with ids that start with `prefix`; how many requests were answered, all of them with success.
pub fn wrk(url: &str, prefix: &str, load: &Load) -> u64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/events.lua");
    let number = |number: u64| number.to_string();
    let text = output(
        "wrk",
        &[
            "--threads=1",
            "--connections",
            &number(load.connections),
            "--duration",
            &number(load.seconds),
            "--script",
            script,
            url,
            "--",
            prefix,
            &number(load.batch),
            &number(load.symbol_bytes),
            &number(load.pause_ms),
        ],
    );
    let last = text.lines().last().unwrap_or_default();
    let words: Vec<&str> = last.split(' ').collect();
    let ["completed", completed, "failed", "0"] = words[..] else {
        panic!("{text}");
    };
    completed.parse().unwrap()
}
