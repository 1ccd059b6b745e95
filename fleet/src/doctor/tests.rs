//! The whole of it on places that are made up.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn run(places: &Places) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(examine(places))
}

/// A place of its own, empty at first.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(TempDir::new().unwrap())
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn places(&self) -> Places {
        let at = |path: &str| self.0.path().join(path);
        Places {
            kmsg: at("kmsg"),
            dmesg: at("dmesg"),
            proc: at("proc"),
            cgroups: at("cgroup"),
            host: Some(format!("unix://{}", at("no.sock").display())),
            window_s: 60,
        }
    }
}

fn unknown(report: &Report) -> Vec<&str> {
    let findings = report.findings.iter();
    let unknown = findings.filter(|found| found.severity == Severity::Unknown);
    unknown.map(|found| found.place.as_str()).collect()
}

fn codes(report: &Report) -> Vec<Code> {
    report.findings.iter().map(|found| found.code).collect()
}

const KILL: &str =
    "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/a,task=x,pid=5,uid=0";
const KILLED: &str = "Memory cgroup out of memory: Killed process 5 (x) total-vm:1kB";

/// A machine without swap, on which the kernel killed ten seconds ago.
fn killed_in_a() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("proc/meminfo", "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    scratch.write("proc/uptime", "1000.0 1.0\n");
    scratch.write("cgroup/memory/memory.oom_control", "oom_kill 0\n");
    scratch.write("cgroup/memory/a/memory.oom_control", "oom_kill 2\n");
    scratch.write(
        "kmsg",
        &format!("4,1,990000000,-;{KILL}\n3,2,990000000,-;{KILLED}\n"),
    );
    scratch
}

#[test]
fn where_nothing_can_be_read_nothing_is_well() {
    let scratch = Scratch::new();
    let report = run(&scratch.places());
    assert_eq!(
        unknown(&report),
        ["cgroups", "engine", "kernel log", "swap"]
    );
    assert_eq!(report.findings.len(), 4);
    assert_eq!(report.read, []);
    assert!(report.is_blind());
    for found in &report.findings {
        assert!(!found.todo.is_empty(), "{found:?}");
    }
}

#[test]
fn what_can_not_be_read_does_not_hide_the_rest() {
    let scratch = killed_in_a();
    let report = run(&scratch.places());
    assert_eq!(
        codes(&report),
        [Code::OomKill, Code::NoSwap, Code::Unreadable]
    );
    assert_eq!(report.findings[0].place, "cgroup /a");
    assert_eq!(report.findings[0].count, Some(2));
    assert_eq!(unknown(&report), ["engine"]);
    assert!(report.findings[2].what.contains("no.sock"), "{report:?}");
    assert_eq!(report.read, [Part::KernelLog, Part::Cgroups, Part::Swap]);
    assert_eq!(report.unread, [Part::Engine]);
    assert!(!report.is_blind());
}

#[test]
fn without_the_device_the_command_is_asked() {
    let scratch = Scratch::new();
    let script = format!("#!/bin/sh\necho '[  990.0] {KILL}'\necho '[  990.1] {KILLED}'\n");
    scratch.write("dmesg", &script);
    scratch.write("proc/uptime", "1000.0 1.0\n");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(scratch.0.path().join("dmesg"), executable).unwrap();
    let report = run(&scratch.places());
    assert!(report.read.contains(&Part::KernelLog), "{report:?}");
    assert_eq!(codes(&report)[0], Code::OomKill);

    // It may not be allowed either: that is no empty log.
    scratch.write(
        "dmesg",
        "#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n",
    );
    let report = run(&scratch.places());
    let of_log = report
        .findings
        .iter()
        .find(|found| found.place == "kernel log")
        .unwrap();
    assert_eq!(of_log.severity, Severity::Unknown);
    assert!(of_log.what.contains("not permitted"), "{of_log:?}");
}

#[test]
fn a_part_that_is_nonsense_is_unknown() {
    let scratch = Scratch::new();
    scratch.write("proc/meminfo", "MemTotal: many\n");
    scratch.write("cgroup/cgroup.controllers", "cpu io\n");
    assert_eq!(
        unknown(&run(&scratch.places())),
        ["cgroups", "engine", "kernel log", "swap"]
    );
    // An address that none is.
    for host in ["nowhere", "unix://", "ftp://x"] {
        let mut places = scratch.places();
        places.host = Some(host.to_owned());
        let report = run(&places);
        assert!(unknown(&report).contains(&"engine"), "{host}: {report:?}");
    }
}

#[test]
fn of_a_remote_engine_nothing_of_this_machine_is_told() {
    let scratch = killed_in_a();
    let mut places = scratch.places();
    places.host = Some("tcp://127.0.0.1:1".to_owned());
    let report = run(&places);
    assert_eq!(unknown(&report), ["engine", "engine's host"]);
    assert_eq!(report.findings.len(), 2, "{report:?}");
    let of_host = &report.findings[1];
    assert!(
        of_host
            .what
            .starts_with("kernel log, cgroups, swap: not looked at"),
        "{of_host:?}"
    );
    assert_eq!(report.read, []);
    assert_eq!(
        report.unread,
        [Part::KernelLog, Part::Cgroups, Part::Swap, Part::Engine]
    );
    let todo = &report.findings[0].todo;
    assert!(
        todo.ends_with("\nDOCKER_HOST=tcp://127.0.0.1:1 docker info"),
        "{todo}"
    );
}
