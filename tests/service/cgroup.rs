//! Under a limit that the kernel enforces (cgroup v1).

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::Service;
use crate::tools::{self, Load, wrk};

const LIMIT_BYTES: u64 = 64 << 20;

/// A memory cgroup with a limit; removed when dropped.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` where there is no v1 hierarchy, or where it can't be written.
    fn with_limit(name: &str) -> Option<Self> {
        let path =
            Path::new("/sys/fs/cgroup/memory").join(format!("{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&path) {
            eprintln!("skipped: {}: {error}", path.display());
            return None;
        }
        let cgroup = Cgroup(path);
        fs::write(
            cgroup.file("memory.limit_in_bytes"),
            LIMIT_BYTES.to_string(),
        )
        .unwrap();
        Some(cgroup)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn kills(&self) -> String {
        let control = fs::read_to_string(self.file("memory.oom_control")).unwrap();
        let line = control.lines().find(|line| line.starts_with("oom_kill "));
        line.unwrap_or_default().to_owned()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Fails only while somebody is still in it, which then says so itself.
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn the_oldest_events_make_room_below_the_limit() {
    if !tools::have(&["wrk", "curl"]) {
        return;
    }
    let Some(cgroup) = Cgroup::with_limit("plimsoll-service") else {
        return;
    };
    let service = Service::start_in(&cgroup);

    let memory = &service.usage()["memory"];
    assert_eq!(memory["limit_bytes"], LIMIT_BYTES);
    assert_eq!(memory["limit_source"], "cgroup v1 memory.limit_in_bytes");
    let percent = memory["percent"].as_f64().unwrap();
    assert!(percent > 0.0 && percent < 50.0, "{memory}");

    // A few MiB a second, round after round, until well past what the limit could hold.
    let load = Load {
        connections: 2,
        seconds: 2,
        batch: 20,
        symbol_bytes: 1000,
        pause_ms: 5,
    };
    let enough_events = 2 * LIMIT_BYTES / load.symbol_bytes;
    let mut answered = 0;
    for round in 0..120 {
        answered += load.batch * wrk(&service.url("/"), &round.to_string(), &load);
        if answered > enough_events {
            break;
        }
    }
    assert!(
        answered > enough_events,
        "only {answered} events in all rounds"
    );

    let counts = service.settled();
    assert!(counts.evicted > 0 && counts.held > 0, "{counts:?}");
    assert!(
        counts.accepted >= answered,
        "{answered} answered: {counts:?}"
    );
    let memory = &service.usage()["memory"];
    let percent = memory["percent"].as_f64().unwrap();
    assert!(percent > 10.0 && percent < 100.0, "{memory}");
    assert_eq!(cgroup.kills(), "oom_kill 0");
}
