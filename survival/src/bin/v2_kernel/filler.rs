//! [`Filler`]: another process of the cgroup, which takes memory and keeps it.

use std::io::{self, Read};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::cgroup::Cgroup;

/// In front of how many MiB.
pub const FILL: &str = "--fill";

pub struct Filler(Child);

impl Filler {
    /// Starts one in `cgroup`, which the kernel takes first when it wants somebody.
    pub fn start(cgroup: &Cgroup, mib: u64) -> Result<Filler, String> {
        Filler::with_score(cgroup, mib, "1000")
    }

    /// As `start`, but the kernel must take somebody else.
    pub fn spared(cgroup: &Cgroup, mib: u64) -> Result<Filler, String> {
        Filler::with_score(cgroup, mib, "-1000")
    }

    /// A process begins where its parent is, so it moves itself first.
    fn with_score(cgroup: &Cgroup, mib: u64, score: &str) -> Result<Filler, String> {
        let myself = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(myself)
            .args([FILL, &mib.to_string()])
            .env("CGROUP", cgroup.dir())
            .env("OOM_SCORE_ADJ", score)
            .stdin(Stdio::piped())
            .spawn();
        Ok(Filler(child.map_err(|error| format!("filler: {error}"))?))
    }

    /// Whether it has ended, by whatever.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process: takes `mib`, and waits until its parent lets go or is gone.
pub fn fill(mib: &str) -> ExitCode {
    let Ok(mib) = mib.parse::<usize>() else {
        return ExitCode::from(64);
    };
    let moved = std::env::var("CGROUP")
        .map_err(io::Error::other)
        .and_then(|dir| std::fs::write(format!("{dir}/cgroup.procs"), "0"))
        .and_then(|()| std::env::var("OOM_SCORE_ADJ").map_err(io::Error::other))
        .and_then(|score| std::fs::write("/proc/self/oom_score_adj", score));
    if let Err(error) = moved {
        eprintln!("filler: {error}");
        return ExitCode::from(70);
    }
    let held = vec![1u8; mib << 20];
    let _ = io::stdin().read(&mut [0]);
    drop(held);
    ExitCode::SUCCESS
}
