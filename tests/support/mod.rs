//! What several tests need: a process of their own, and patience.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod capture;
pub mod cgroup;
pub mod example;
#[cfg(feature = "telemetry")]
pub mod figures;
#[cfg(target_os = "linux")]
pub mod fork;
#[cfg(target_os = "linux")]
pub mod notices;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Set in a process that a test has started of itself.
pub const CHILD: &str = "PLIMSOLL_TEST_CHILD";

/// Whether this process was started by [`child`].
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This test binary once more, to run only `test`; the test asks [`is_child`] which of the two it is.
pub fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(child_args(test)).env(CHILD, "1");
    command
}

/// The arguments with which a test binary runs only `test`.
pub fn child_args(test: &str) -> [&str; 4] {
    [test, "--exact", "--nocapture", "--test-threads=1"]
}

/// Whether this is the process in which only `test` runs, with these variables set; else it starts that process and sees it succeed.
#[track_caller]
pub fn alone(test: &str, variables: &[(&str, &str)]) -> bool {
    if !is_child() {
        let variables = variables.iter().copied();
        assert_success(&child(test).envs(variables).output().unwrap());
    }
    is_child()
}

/// Fails with what the child printed unless it ended well.
#[track_caller]
pub fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Waits until `happened`, for as long as a busy machine may need.
#[track_caller]
pub fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "waited too long: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
