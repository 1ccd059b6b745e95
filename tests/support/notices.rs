//! What the manager says of the sources that tell earlier than the tick.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::{Finding, NoticeStats, get_memory_manager};

use super::wait_until;

pub const WATCH: &str = "MEMORY_PRESSURE_WATCH";
pub const WRITE: &str = "MEMORY_PRESSURE_WRITE";

pub fn notices() -> NoticeStats {
    get_memory_manager().stats().notices
}

#[track_caller]
pub fn wait_for_sources(sources: &[&str]) {
    wait_until(&format!("{sources:?}"), || notices().sources == sources);
}

pub fn finding(code: &str) -> Option<Finding> {
    let findings = get_memory_manager().findings();
    findings.into_iter().find(|finding| finding.code == code)
}

pub fn has_watch_thread() -> bool {
    fs::read_dir("/proc/self/task").unwrap().any(|task| {
        fs::read_to_string(task.unwrap().path().join("comm"))
            .is_ok_and(|name| name.trim() == "plimsoll-watch")
    })
}

/// A thread gives itself its name, a moment after it was started.
#[track_caller]
pub fn wait_for_watch_thread() {
    wait_until("a thread that listens", has_watch_thread);
}

/// Where the running child of a test finds what the test tells it.
pub fn told(name: &str) -> PathBuf {
    std::env::var_os(name).map(PathBuf::from).unwrap()
}

/// Whether there is PSI; a failure in CI when there is none.
pub fn has_psi(path: &Path) -> bool {
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
