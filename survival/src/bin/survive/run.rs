//! [`Run`]: the service, once.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll_survival::{Report, Variant};
use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::group::{Group, Version};
use crate::halving::Halving;

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// For start, recovery and the report, on a slow machine.
const GRACE: Duration = Duration::from_secs(40);
/// The least that halving takes, with some load before and after.
const HALVED_SECONDS: u64 = 10;
/// An unmanaged twin has so many times as long to die: on a slow machine filling takes its time, and it ends when it is killed.
const PATIENCE: u64 = 15;
/// A managed one has to live so many times as long as its twin did.
const OUTLIVED: u64 = 2;

/// In which of its ways the service ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Twin {
    /// Under a limit, with nothing to keep it.
    Unmanaged,
    /// Under a limit, with plimsoll.
    Managed,
    /// Without a limit, with a cache of the size that fits: what goodput is compared with.
    Reference,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    Exited(i32),
    Signal(i32),
    /// It did not end, and was ended.
    Overran,
}

/// What there is to know of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Whose cgroups.
    pub kernel: Version,
    pub limit_mib: u64,
    pub variant: Variant,
    pub twin: Twin,
    pub ending: Ending,
    /// Processes that the kernel killed for memory; `None` outside of a cgroup.
    pub kills: Option<u64>,
    pub lived_ms: u64,
    /// The most that the kernel ever charged, file cache included, as a percentage of the limit that it began with.
    pub charged_percent: Option<f64>,
    /// How long it took to halve the limit.
    pub halved_ms: Option<u64>,
    pub report: Option<Report>,
}

/// Where things are.
pub struct Stage {
    pub version: Version,
    pub overload: PathBuf,
    pub myself: PathBuf,
}

impl Stage {
    pub fn run(&self, args: &Args, variant: Variant, twin: Twin, seconds: u64) -> io::Result<Run> {
        let limit_bytes = args.limit_mib << 20;
        let group = match twin {
            Twin::Reference => None,
            _ => Some(Group::make(self.version, limit_bytes)?),
        };
        let mut command = match &group {
            Some(group) => {
                let mut command = Command::new(&self.myself);
                command.arg("--enter").arg(group.dir()).arg("--");
                command.arg(&self.overload);
                command
            }
            None => Command::new(&self.overload),
        };
        command.args(words(args, variant, twin, seconds));
        command.arg("--dir").arg(&args.dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped());

        let started = Instant::now();
        let mut halving = (variant == Variant::Halved && group.is_some())
            .then(|| Halving::new(limit_bytes, started + Duration::from_secs(seconds) / 4));
        let mut child = command.spawn()?;
        let ended = wait(
            &mut child,
            started + Duration::from_secs(seconds) + GRACE,
            || match (&mut halving, &group) {
                (Some(halving), Some(group)) => halving.step(group),
                _ => Ok(()),
            },
        );
        let lived = started.elapsed();
        if ended.is_err() {
            // Nothing may be left in a cgroup that goes.
            let _ = child.kill().and_then(|()| child.wait().map(drop));
        }
        let ending = ended?;
        let mut line = String::new();
        if let Some(stdout) = &mut child.stdout {
            stdout.read_to_string(&mut line)?;
        }
        Ok(Run {
            kernel: self.version,
            limit_mib: args.limit_mib,
            variant,
            twin,
            ending,
            kills: group.as_ref().and_then(Group::kills),
            lived_ms: lived.as_millis() as u64,
            charged_percent: group
                .as_ref()
                .and_then(Group::peak_bytes)
                .map(|bytes| bytes as f64 * 100.0 / limit_bytes as f64),
            halved_ms: halving
                .and_then(|halving| halving.done())
                .map(|took| took.as_millis() as u64),
            report: serde_json::from_str(&line).ok(),
        })
    }
}

/// How long the load lasts, when `seconds` were asked for and the unmanaged twin was killed after `twin_lived_ms`.
pub fn load_seconds(seconds: u64, variant: Variant, twin: Twin, twin_lived_ms: Option<u64>) -> u64 {
    let least = match variant {
        Variant::Halved => seconds.max(HALVED_SECONDS),
        _ => seconds,
    };
    match twin {
        Twin::Unmanaged if variant.is_lethal() => least * PATIENCE,
        Twin::Unmanaged => least,
        Twin::Managed | Twin::Reference => {
            let outlived_ms = twin_lived_ms.unwrap_or(0) * OUTLIVED;
            least.max(outlived_ms.div_ceil(1000))
        }
    }
}

fn words(args: &Args, variant: Variant, twin: Twin, seconds: u64) -> Vec<String> {
    let mut words = vec![
        "--variant".to_owned(),
        variant.to_string(),
        "--seconds".to_owned(),
        seconds.to_string(),
        "--limit-mib".to_owned(),
        args.limit_mib.to_string(),
        "--sample-ms".to_owned(),
        args.sample_ms.to_string(),
    ];
    if twin != Twin::Managed {
        words.push("--unmanaged".to_owned());
    }
    if twin == Twin::Reference {
        words.push("--cache-mib".to_owned());
        words.push(fitting_mib(variant, args.limit_mib).to_string());
    }
    words
}

/// The cache that an operator would give the service under this limit: what is left of three quarters of it when code, stacks,
/// what requests have in hand, and a leak have theirs. With that it peaks at 72 to 92 % of the limit.
fn fitting_mib(variant: Variant, limit_mib: u64) -> u64 {
    let others_mib = match variant {
        Variant::Huge => 36,
        // What eight threads keep in arenas of their own.
        Variant::Threads => 24,
        // Buffers that were outgrown stay with the allocator for seconds.
        Variant::Realloc => 8 + limit_mib * 5 / 16,
        Variant::Leak => 8 + limit_mib / 8,
        _ => 8,
    };
    (limit_mib * 3 / 4).saturating_sub(others_mib).max(1)
}

/// Waits for the end, and does `meanwhile` again and again.
fn wait(
    child: &mut Child,
    at_most_until: Instant,
    mut meanwhile: impl FnMut() -> io::Result<()>,
) -> io::Result<Ending> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(ending(status));
        }
        if Instant::now() > at_most_until {
            child.kill()?;
            child.wait()?;
            return Ok(Ending::Overran);
        }
        meanwhile()?;
        thread::sleep(LOOK_EVERY);
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signal(signal),
        (None, None) => Ending::Overran,
    }
}

/// The file for the page cache: twice the limit, on disk, and none of it in memory, so that whoever reads it is charged.
pub struct HotFile(PathBuf);

impl HotFile {
    pub fn make(dir: &Path, limit_mib: u64) -> io::Result<HotFile> {
        let path = dir.join("hot.file");
        let file = std::fs::File::create(&path)?;
        let hot = HotFile(path);
        let block: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
        for _ in 0..limit_mib * 2 {
            io::Write::write_all(&mut &file, &block)?;
        }
        file.sync_all()?;
        Ok(hot)
    }

    /// Has the kernel forget what it holds of it.
    pub fn cool(&self) -> io::Result<()> {
        let file = std::fs::File::open(&self.0)?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        Ok(())
    }
}

impl Drop for HotFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_apart() {
        assert_eq!(ending(ExitStatus::from_raw(0)), Ending::Exited(0));
        assert_eq!(ending(ExitStatus::from_raw(1 << 8)), Ending::Exited(1));
        assert_eq!(ending(ExitStatus::from_raw(9)), Ending::Signal(9));
    }

    #[test]
    fn a_managed_one_lives_longer_than_it_took_to_kill_its_twin() {
        let table = [
            (Variant::Small, Twin::Unmanaged, None, 150),
            (Variant::Reserved, Twin::Unmanaged, None, 10),
            (Variant::Small, Twin::Managed, None, 10),
            (Variant::Small, Twin::Managed, Some(4999), 10),
            (Variant::Small, Twin::Managed, Some(5001), 11),
            (Variant::Small, Twin::Reference, Some(20_000), 40),
        ];
        for (variant, twin, lived_ms, expected) in table {
            assert_eq!(load_seconds(10, variant, twin, lived_ms), expected);
        }
        assert_eq!(load_seconds(3, Variant::Halved, Twin::Managed, None), 10);
    }

    #[test]
    fn what_fits_is_less_than_three_quarters() {
        assert_eq!(fitting_mib(Variant::Small, 128), 88);
        assert_eq!(fitting_mib(Variant::Huge, 128), 60);
        assert_eq!(fitting_mib(Variant::Threads, 128), 72);
        assert_eq!(fitting_mib(Variant::Leak, 128), 72);
        assert_eq!(fitting_mib(Variant::Realloc, 128), 48);
        assert_eq!(fitting_mib(Variant::Huge, 32), 1);
    }
}
