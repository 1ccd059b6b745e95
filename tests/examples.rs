//! The short examples run and say what their text promises.

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::example;

/// What an example prints.
fn run(name: &str) -> String {
    run_built(name, example::build(name))
}

fn run_built(name: &str, executable: PathBuf) -> String {
    // A backtrace of the panic that `hooks` shows takes longer than a hook may.
    let output = Command::new(executable)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest
            .find(part)
            .unwrap_or_else(|| panic!("{part:?} is missing in:\n{text}"));
        rest = &rest[found + part.len()..];
    }
}

#[test]
fn quickstart_gives_its_cache_back() {
    let text = run("quickstart");
    assert_in_order(
        &text,
        &[
            "now:",
            "MiB of",
            "filled:",
            "forced cleanup",
            "cache: completed",
            "claimed 97.7 MiB",
            "after:",
        ],
    );
}

#[test]
fn limits_stop_what_is_too_big() {
    let text = run("limits");
    assert_in_order(
        &text,
        &[
            "generous kept 4096",
            "strict(100): Ok(100)",
            "strict(100000): limits::strict",
            "passed its memory limit of 1.0 MiB",
            "exceeded: true",
            "requests_total: 10",
        ],
    );
}

#[test]
fn a_runaway_request_is_stopped_and_its_neighbours_go_on() {
    assert_in_order(
        &run("runaway"),
        &[
            "request 0: 8 pages",
            "request 1: 8 pages",
            "request 2: stopped, request (",
            "passed its memory limit of 4.0 MiB",
            "request 3: 8 pages",
            "by attribute: Some(8) pages",
            "by attribute: stopped true",
            "request: 4 calls, 1 exceeded, up to 4",
        ],
    );
}

#[test]
fn work_that_fans_out_counts_in_the_scope_that_asked() {
    assert_in_order(
        &run("fan_out"),
        &[
            "4 parts: Ok(4)",
            "64 parts: Err(\"in parallel",
            "request of 2 MiB: 3145728 bytes",
            "request of 20 MiB: request (",
            "passed its memory limit of 8.0 MiB",
        ],
    );
}

#[test]
fn hooks_are_told_apart() {
    let text = run("hooks");
    assert_in_order(
        &text,
        &[
            "boastful: completed",
            "claimed 1.0 GiB",
            "entries: completed",
            "freed 62.5 MiB",
            "broken: panicked: out of order",
            "hangs: timed out",
            "hook-late",
        ],
    );
}

/// What the report of the one hook says it freed, as measured.
#[track_caller]
fn freed_mib(text: &str) -> f64 {
    let (_, rest) = text.split_once("freed ").expect(text);
    let (freed, _) = rest.split_once(" MiB").expect(text);
    freed.parse().expect(text)
}

#[test]
fn caches_of_all_kinds_give_memory_back() {
    for (name, hook) in [
        ("lru_cache", "lru: completed"),
        ("moka_cache", "pages: completed"),
    ] {
        let text = run(name);
        assert_in_order(
            &text,
            &["filled:", "forced cleanup", hook, "freed", "after:"],
        );
        assert!(freed_mib(&text) > 45.0, "{text}");
    }
    let text = run("moka_cache");
    let (_, left) = text.rsplit_once("after:").unwrap();
    let left = left.lines().nth(1).unwrap().split_once(" pages are left");
    assert!(left.unwrap().0.parse::<u64>().unwrap() < 100, "{text}");
    let text = run_built(
        "quick_cache",
        example::build_with("quick_cache", "quick_cache"),
    );
    assert_in_order(
        &text,
        &[
            "filled:",
            "pages: completed",
            "after:",
            "may hold 64.0 MiB again",
        ],
    );
    assert!(freed_mib(&text) > 50.0, "{text}");
}
