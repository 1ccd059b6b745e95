//! Programs that a test needs and a machine may not have.

use std::path::Path;
use std::process::{Command, Output};

/// Whether a program is there. Says so if not; with CI=true that is a failure.
pub fn there(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory.join(program).is_file()) {
        return true;
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{program} is missing; on Debian: apt-get install {package}"
    );
    eprintln!("skipped: {program} is missing; on Debian: apt-get install {package}");
    false
}

/// Runs it in a directory to its end, or to ours.
pub fn run(directory: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", "60", program])
        .args(arguments);
    command
        .current_dir(directory)
        .output()
        .expect("coreutils are installed")
}
