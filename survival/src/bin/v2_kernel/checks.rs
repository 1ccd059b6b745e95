//! The checks, and what they share.

pub mod limits;
pub mod told;

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::{Bound, Finding, LimitSource, MemoryManager, NoticeStats, get_memory_manager};

use crate::Outcome;

/// As long as a busy machine may need, which emulates another.
const AT_MOST: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What tells on a kernel with PSI.
const SOURCES: [&str; 2] = ["memory.events", "memory.pressure"];

/// Installs the manager: from here on it is in the cgroup that this process is in.
fn install() -> Result<&'static MemoryManager, String> {
    let installed = MemoryManager::builder().install();
    installed.map_err(|error| error.to_string())
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) -> Outcome {
    let start = Instant::now();
    while !happened() {
        if start.elapsed() > AT_MOST {
            return Err(format!("waited too long: {what}; {}", state()));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn must(holds: bool, what: &str) -> Outcome {
    if holds {
        return Ok(());
    }
    Err(format!("does not hold: {what}; {}", state()))
}

fn must_be<T: PartialEq + Debug>(what: &str, is: T, should: T) -> Outcome {
    if is == should {
        return Ok(());
    }
    Err(format!("{what} is {is:?}, not {should:?}; {}", state()))
}

/// What is to be known when something is not as it should be.
fn state() -> String {
    let manager = get_memory_manager();
    let findings: Vec<String> = manager.findings().iter().map(Finding::to_string).collect();
    format!(
        "{}, {:?}, {:?}, {findings:?}",
        manager.usage(),
        manager.pressure(),
        notices()
    )
}

fn notices() -> NoticeStats {
    get_memory_manager().stats().notices
}

fn has_finding(code: &str) -> bool {
    let findings = get_memory_manager().findings();
    findings.iter().any(|finding| finding.code == code)
}

fn binding() -> Option<Bound> {
    get_memory_manager().usage().binding
}

/// File and ancestor of the limit that binds.
fn binding_file() -> Option<(&'static str, u8)> {
    match binding()?.source {
        LimitSource::Cgroup { file, ancestor, .. } => Some((file, ancestor)),
        _ => None,
    }
}

fn percent() -> f64 {
    get_memory_manager().usage().percent().unwrap_or(0.0)
}
