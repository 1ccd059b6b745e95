//! The whole of it on places that are made up.

use std::fs;
use std::path::Path;

use super::*;

fn run(places: &Places) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(examine(places))
}

fn places(root: &Path) -> Places {
    let socket = root.join("no.sock");
    Places {
        kmsg: root.join("kmsg"),
        proc: root.join("proc"),
        cgroups: root.join("cgroup"),
        host: Some(format!("unix://{}", socket.display())),
        window_s: 60,
    }
}

#[test]
fn what_can_not_be_read_does_not_hide_the_rest() {
    let root = std::env::temp_dir().join(format!("plimsoll-doctor-whole-{}", std::process::id()));
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("kmsg", "");
    let report = run(&places(&root));
    let unknown = |report: &Report| {
        let unknown = report
            .findings
            .iter()
            .filter(|found| found.severity == Severity::Unknown);
        unknown.map(|found| found.place.clone()).collect::<Vec<_>>()
    };
    assert_eq!(unknown(&report), ["cgroups", "engine", "swap"]);
    assert_eq!(report.unread, [Part::Cgroups, Part::Swap, Part::Engine]);
    assert!(!report.is_blind());

    write("proc/meminfo", "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    write("proc/uptime", "1000.0 1.0\n");
    write("cgroup/memory/memory.oom_control", "oom_kill 0\n");
    write("cgroup/memory/a/memory.oom_control", "oom_kill 2\n");
    write(
        "kmsg",
        "4,1,990000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/a,task=x,pid=5,uid=0\n\
         3,2,990000000,-;Memory cgroup out of memory: Killed process 5 (x) total-vm:1kB\n",
    );
    let report = run(&places(&root));
    let codes: Vec<Code> = report.findings.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::OomKill, Code::NoSwap, Code::Unreadable]);
    assert_eq!(report.findings[0].place, "cgroup /a");
    assert_eq!(report.findings[0].count, Some(2));
    assert_eq!(unknown(&report), ["engine"]);
    assert!(report.findings[2].what.contains("no.sock"), "{report:?}");
    fs::remove_dir_all(root).unwrap();
}
