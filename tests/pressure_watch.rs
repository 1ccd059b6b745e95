//! systemd's protocol for memory pressure, for real: over a FIFO, a socket and a PSI file.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll::{MemoryManager, PressureLevel, Severity, get_memory_manager};
use support::notices::{
    WATCH, WRITE, finding, has_psi, has_watch_thread, notices, told, wait_for_sources,
    wait_for_watch_thread,
};
use support::{assert_success, child, is_child, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// What systemd writes by default.
const TRIGGER: &[u8] = b"some 200000 2000000\0";
const TRIGGER_BASE64: &str = "c29tZSAyMDAwMDAgMjAwMDAwMAA=";

struct Fifo {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Fifo {
    fn new() -> Fifo {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pressure");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        Fifo { path, _dir: dir }
    }
}

fn open_to_write(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

#[test]
fn managers_that_are_dropped_leave_no_thread() {
    const TEST: &str = "managers_that_are_dropped_leave_no_thread";
    if is_child() {
        for _ in 0..2 {
            let manager = MemoryManager::builder().build().unwrap();
            wait_until("it listens", || !manager.stats().notices.sources.is_empty());
            wait_for_watch_thread();
            drop(manager);
            // A thread that was waited for may still be in the list for a moment.
            wait_until("no thread", || !has_watch_thread());
        }
        return;
    }
    let fifo = Fifo::new();
    assert_success(&child(TEST).env(WATCH, &fifo.path).output().unwrap());
}

#[test]
fn a_fifo_tells_whoever_writes_to_it_and_as_often_as_one_does() {
    const TEST: &str = "a_fifo_tells_whoever_writes_to_it_and_as_often_as_one_does";
    if is_child() {
        wait_for_sources(&[WATCH]);
        for n in 1..=3 {
            assert_eq!(
                notices().stalls_total,
                n - 1,
                "what was written to it first is no report"
            );
            // Writers come and go; the FIFO never ends.
            open_to_write(&told(WATCH)).write_all(b"pressure").unwrap();
            wait_until("a stall", || notices().stalls_total == n);
        }
        assert_eq!(notices().false_alarms_total, 0);
        assert_eq!(finding("memory-pressure-watch"), None);
        return;
    }
    for write in [None, Some(TRIGGER_BASE64)] {
        let fifo = Fifo::new();
        let mut child = child(TEST);
        child.env(WATCH, &fifo.path);
        if let Some(write) = write {
            child.env(WRITE, write);
        }
        assert_success(&child.output().unwrap());
    }
}

#[test]
fn whatever_is_told_is_looked_at_before_the_next_tick() {
    const TEST: &str = "whatever_is_told_is_looked_at_before_the_next_tick";
    const REPORTS: u64 = 20;
    if is_child() {
        wait_for_sources(&[WATCH]);
        let mut fifo = open_to_write(&told(WATCH));
        let (mut looks, mut age_ms) = (0, 0);
        for n in 1..=REPORTS {
            fifo.write_all(b"x").unwrap();
            wait_until("a stall", || {
                // Slow facts that grow younger were taken anew.
                let now_ms = get_memory_manager().usage().slow_facts_age_ms;
                looks += u64::from(now_ms < age_ms);
                age_ms = now_ms;
                notices().stalls_total == n
            });
        }
        // They take two seconds and more; by itself the worker looks four times in two.
        assert!(looks >= REPORTS / 2, "{looks} looks for {REPORTS} reports");
        return;
    }
    let fifo = Fifo::new();
    assert_success(&child(TEST).env(WATCH, &fifo.path).output().unwrap());
}

#[test]
fn a_source_that_never_tells_is_needed_by_nobody() {
    const TEST: &str = "a_source_that_never_tells_is_needed_by_nobody";
    if is_child() {
        wait_for_sources(&[WATCH]);
        let manager = get_memory_manager();
        let held = vec![1u8; 60 << 20];
        wait_until("a high level", || manager.pressure() >= PressureLevel::High);
        drop(held);
        manager.force_cleanup();
        wait_until("a normal level", || {
            manager.pressure() == PressureLevel::Normal
        });
        assert_eq!(notices().stalls_total, 0);
        assert_eq!(finding("memory-pressure-watch"), None);
        return;
    }
    let fifo = Fifo::new();
    let output = child(TEST)
        .env(WATCH, &fifo.path)
        .env("PLIMSOLL_MEMORY_LIMIT", "64MiB")
        .output();
    assert_success(&output.unwrap());
}

#[test]
fn a_fifo_that_is_written_to_all_the_time_costs_a_round_now_and_then() {
    const TEST: &str = "a_fifo_that_is_written_to_all_the_time_costs_a_round_now_and_then";
    if is_child() {
        wait_for_sources(&[WATCH]);
        let writer = std::thread::spawn({
            let mut fifo = open_to_write(&told(WATCH));
            move || {
                let mut writes = 0u64;
                while finding("notice-constant").is_none() {
                    for _ in 0..1000 {
                        fifo.write_all(b"x").unwrap();
                    }
                    writes += 1000;
                }
                writes
            }
        });
        let writes = writer.join().unwrap();
        let stalls = notices().stalls_total;
        assert!(stalls < writes / 100, "{stalls} stalls of {writes} writes");
        return;
    }
    let fifo = Fifo::new();
    assert_success(&child(TEST).env(WATCH, &fifo.path).output().unwrap());
}

#[test]
fn a_socket_is_told_what_to_write_and_tells_until_it_closes() {
    const TEST: &str = "a_socket_is_told_what_to_write_and_tells_until_it_closes";
    if is_child() {
        let listener = UnixListener::bind(told(WATCH)).unwrap();
        get_memory_manager();
        let (mut peer, _) = listener.accept().unwrap();
        let mut greeting = [0; TRIGGER.len()];
        peer.read_exact(&mut greeting).unwrap();
        assert_eq!(greeting, TRIGGER);
        wait_for_sources(&[WATCH]);
        for n in 1..=3 {
            peer.write_all(b"x").unwrap();
            wait_until("a stall", || notices().stalls_total == n);
        }
        // The last word counts.
        peer.write_all(b"x").unwrap();
        drop(peer);
        wait_until("a finding", || finding("memory-pressure-watch").is_some());
        let finding = finding("memory-pressure-watch").unwrap();
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.message.contains("is gone"), "{finding}");
        let stats = notices();
        assert!(stats.sources.is_empty(), "{stats:?}");
        assert_eq!(stats.stalls_total, 4);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = child(TEST)
        .env(WATCH, dir.path().join("socket"))
        .env(WRITE, TRIGGER_BASE64)
        .output();
    assert_success(&output.unwrap());
}

#[test]
fn what_makes_no_sense_is_a_finding_and_listened_to_by_nobody() {
    const TEST: &str = "what_makes_no_sense_is_a_finding_and_listened_to_by_nobody";
    if is_child() {
        wait_until("a finding", || finding("memory-pressure-watch").is_some());
        let finding = finding("memory-pressure-watch").unwrap();
        let expected = std::env::var("EXPECTED").unwrap();
        assert!(finding.to_string().contains(&expected), "{finding}");
        assert!(
            finding
                .to_string()
                .starts_with(&std::env::var("SEVERITY").unwrap())
        );
        assert!(!notices().sources.contains(&WATCH));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    let socket = dir.path().join("socket");
    drop(UnixListener::bind(&socket).unwrap());
    let fifo = Fifo::new();
    let missing = dir.path().join("missing");
    let cases: [(&Path, Option<OsString>, &str, &str); 10] = [
        (Path::new("/dev/null"), None, "info", "turned off"),
        (&missing, None, "warning", "No such file"),
        (
            Path::new("run/pressure"),
            None,
            "warning",
            "no absolute path",
        ),
        (
            &file,
            Some(TRIGGER_BASE64.into()),
            "warning",
            "neither a PSI file",
        ),
        (dir.path(), None, "warning", "neither a PSI file"),
        (
            Path::new("/dev/zero"),
            None,
            "warning",
            "neither a PSI file",
        ),
        (&socket, None, "warning", "cannot be opened"),
        (&fifo.path, Some("Zg=".into()), "warning", "no base64"),
        (
            &fifo.path,
            Some("A".repeat(8192).into()),
            "warning",
            "no base64",
        ),
        // "nothing": the kernel says no.
        (
            Path::new("/proc/pressure/memory"),
            Some("bm90aGluZw==".into()),
            "warning",
            "cannot be told",
        ),
    ];
    for (path, write, severity, expected) in cases {
        if path.starts_with("/proc/pressure") && !has_psi(path) {
            continue;
        }
        let mut child = child(TEST);
        child
            .env(WATCH, path)
            .env("SEVERITY", severity)
            .env("EXPECTED", expected);
        if let Some(write) = write {
            child.env(WRITE, write);
        }
        assert_success(&child.output().unwrap());
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_psi_file_without_anything_to_write_gets_a_trigger() {
    const TEST: &str = "a_psi_file_without_anything_to_write_gets_a_trigger";
    if is_child() {
        wait_for_sources(&[WATCH]);
        assert_eq!(finding("memory-pressure-watch"), None);
        return;
    }
    let psi = Path::new("/proc/pressure/memory");
    if has_psi(psi) {
        for write in ["", TRIGGER_BASE64] {
            assert_success(
                &child(TEST)
                    .env(WATCH, psi)
                    .env(WRITE, write)
                    .output()
                    .unwrap(),
            );
        }
    }
}
