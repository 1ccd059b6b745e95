//! What tells earlier than the tick, for real: charge lines of cgroup v1, PSI triggers, and systemd's protocol over a FIFO, a
//! socket and a PSI file.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use plimsoll::{Finding, MemoryManager, NoticeStats, Severity, get_memory_manager};
use support::cgroup::Cgroup;
use support::fork::fork;
use support::{CHILD, assert_success, child, child_args, is_child, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;
const WATCH: &str = "MEMORY_PRESSURE_WATCH";
const WRITE: &str = "MEMORY_PRESSURE_WRITE";
/// What systemd writes by default.
const TRIGGER: &[u8] = b"some 200000 2000000\0";
const TRIGGER_BASE64: &str = "c29tZSAyMDAwMDAgMjAwMDAwMAA=";

fn notices() -> NoticeStats {
    get_memory_manager().stats().notices
}

#[track_caller]
fn wait_for_sources(sources: &[&str]) {
    wait_until(&format!("{sources:?}"), || notices().sources == sources);
}

fn finding(code: &str) -> Option<Finding> {
    let findings = get_memory_manager().findings();
    findings.into_iter().find(|finding| finding.code == code)
}

fn has_watch_thread() -> bool {
    fs::read_dir("/proc/self/task").unwrap().any(|task| {
        fs::read_to_string(task.unwrap().path().join("comm"))
            .is_ok_and(|name| name.trim() == "plimsoll-watch")
    })
}

/// A thread gives itself its name, a moment after it was started.
#[track_caller]
fn wait_for_watch_thread() {
    wait_until("a thread that listens", has_watch_thread);
}

/// This test binary, to run only `test`, as a process that starts its life in `cgroup`.
fn child_in(cgroup: &Path, test: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(cgroup)
        .arg(std::env::current_exe().unwrap())
        .args(child_args(test))
        .env(CHILD, "1");
    command
}

/// Where the running child of a test finds what the test tells it.
fn told(name: &str) -> PathBuf {
    std::env::var_os(name).map(PathBuf::from).unwrap()
}

/// Another process of the same cgroup, which holds `mib` MiB until it is killed.
struct Holder(Child);

impl Holder {
    fn of(mib: u64) -> Self {
        // Pages of a tmpfs can't be reclaimed, and stay charged to who wrote them.
        let script = "exec 3<>\"$0\"; rm \"$0\"; dd if=/dev/zero bs=1M count=$1 >&3 2>/dev/null; exec sleep 600";
        let file = format!("/dev/shm/plimsoll-notices-{}", std::process::id());
        let child = Command::new("sh")
            .args(["-c", script, &file, &mib.to_string()])
            .stdin(Stdio::null())
            .spawn();
        Holder(child.unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_charge_of_a_neighbour_passes_the_line() {
    const TEST: &str = "the_charge_of_a_neighbour_passes_the_line";
    if is_child() {
        wait_for_sources(&["charge line"]);
        wait_for_watch_thread();
        assert_eq!(notices().charge_line_passed_total, 0);
        // The High line is at 204.8 MiB.
        let below = Holder::of(120);
        wait_until("120 MiB", || {
            get_memory_manager().usage().percent().unwrap() > 45.0
        });
        let above = Holder::of(100);
        wait_until("a notice", || notices().charge_line_passed_total > 0);
        drop((below, above));
        assert_eq!(finding("v1-threshold-unavailable"), None);
        // Nothing else tells here.
        let stats = notices();
        assert_eq!(
            (
                stats.stalls_total,
                stats.limit_events_total,
                stats.kernel_kills_total
            ),
            (0, 0, None)
        );
        let status = fork(|| {
            wait_for_sources(&["charge line"]);
            wait_for_watch_thread();
            assert_eq!(notices().charge_line_passed_total, 0);
            let _above = Holder::of(215);
            wait_until("a notice", || notices().charge_line_passed_total > 0);
            0
        });
        assert_eq!(status, 0);
        return;
    }
    let Some(cgroup) = Cgroup::new("line") else {
        return;
    };
    cgroup.set_limit(256 * MIB);
    assert_success(&child_in(cgroup.dir(), TEST).output().unwrap());
}

#[test]
fn the_line_moves_with_limit_and_cgroup() {
    const TEST: &str = "the_line_moves_with_limit_and_cgroup";
    if is_child() {
        let (first, second) = (told("FIRST"), told("SECOND"));
        let manager = get_memory_manager();
        let limit_mib = || manager.usage().limit.bytes.unwrap() / MIB;
        wait_for_sources(&["charge line"]);
        // A line at 819 MiB would say nothing of 215 MiB.
        fs::write(first.join("memory.limit_in_bytes"), "256M").unwrap();
        wait_until("a new limit", || limit_mib() == 256);
        // The look that found it has configured the watcher, unless it is about to.
        wait_until("another look", || manager.usage().slow_facts_age_ms > 100);
        let holder = Holder::of(215);
        wait_until("a notice", || notices().charge_line_passed_total > 0);
        drop(holder);

        fs::write(second.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        wait_until("the other cgroup", || limit_mib() == 300);
        wait_until("another look", || manager.usage().slow_facts_age_ms > 100);
        // The one that was left can go, and nothing is said of it.
        wait_until("an empty cgroup", || fs::remove_dir(&first).is_ok());
        fs::create_dir(&first).unwrap();
        let before = notices().charge_line_passed_total;
        let holder = Holder::of(250);
        wait_until("a notice", || notices().charge_line_passed_total > before);
        drop(holder);
        assert_eq!(notices().sources, ["charge line"]);
        assert_eq!(finding("v1-threshold-unavailable"), None);
        return;
    }
    let (Some(first), Some(second)) = (Cgroup::new("moves-1"), Cgroup::new("moves-2")) else {
        return;
    };
    first.set_limit(1024 * MIB);
    second.set_limit(300 * MIB);
    let output = child_in(first.dir(), TEST)
        .env("FIRST", first.dir())
        .env("SECOND", second.dir())
        .output();
    assert_success(&output.unwrap());
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

/// Whether there is PSI; a failure in CI when there is none.
fn has_psi(path: &Path) -> bool {
    match fs::read(path) {
        Ok(_) => true,
        Err(error) if std::env::var("CI").as_deref() == Ok("true") => {
            panic!("no PSI to test with: {}: {error}", path.display())
        }
        Err(error) => {
            eprintln!("skipped: {}: {error}", path.display());
            false
        }
    }
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

/// A cgroup of version 2 whose tasks wait for memory because a limit of version 1 holds them: the kernel counts their waiting
/// where they are in the tree of version 2.
#[test]
fn tasks_that_wait_are_told_until_their_cgroup_is_gone() {
    const TEST: &str = "tasks_that_wait_are_told_until_their_cgroup_is_gone";
    const UNIFIED: &str = "/sys/fs/cgroup/unified";
    if is_child() {
        let psi = told(WATCH);
        wait_for_sources(&[WATCH, "charge line"]);
        // It reads a file of three times the limit, again and again. Written in here, or its pages would be charged to others.
        let script = "exec 3<>\"$0\"; rm \"$0\"; dd if=/dev/zero bs=1M count=192 conv=fsync of=/proc/self/fd/3 2>/dev/null; \
                      while :; do cat /proc/self/fd/3 >/dev/null; done";
        let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("plimsoll-stalls-{}", std::process::id()));
        let reader = Command::new("sh").args(["-c", script]).arg(file).spawn();
        let reader = Holder(reader.unwrap());
        wait_until("a stall", || notices().stalls_total > 0);
        drop(reader);
        assert_eq!(finding("memory-pressure-watch"), None);

        fs::write(Path::new(UNIFIED).join("cgroup.procs"), "0").unwrap();
        let cgroup = psi.parent().unwrap();
        wait_until("an empty cgroup", || fs::remove_dir(cgroup).is_ok());
        wait_until("a finding", || finding("memory-pressure-watch").is_some());
        assert!(!notices().sources.contains(&WATCH));
        return;
    }
    let Some(limited) = Cgroup::new("stalls") else {
        return;
    };
    limited.set_limit(64 * MIB);
    let dir = Path::new(UNIFIED).join(format!("plimsoll-test-{}-stalls", std::process::id()));
    if !has_psi(&Path::new(UNIFIED).join("memory.pressure")) {
        return;
    }
    fs::create_dir(&dir).unwrap();
    let output = Command::new("sh")
        .args(["-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(&dir)
        .args(["sh", "-c", "echo 0 > \"$0\"/cgroup.procs; exec \"$@\""])
        .arg(limited.dir())
        .arg(std::env::current_exe().unwrap())
        .args(child_args(TEST))
        .env(CHILD, "1")
        .env(WATCH, dir.join("memory.pressure"))
        // "some 1000 2000000" and a NUL: little is enough.
        .env(WRITE, "c29tZSAxMDAwIDIwMDAwMDAA")
        .output();
    // Gone already, unless the child has failed.
    let _ = fs::remove_dir(&dir);
    assert_success(&output.unwrap());
}
