//! systemd's protocol: `MEMORY_PRESSURE_WATCH` names what to watch, `MEMORY_PRESSURE_WRITE` what to write to it first.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, stat, statfs};

use super::base64;
use super::problem::Reason;
use super::report::Report;
use super::{Notice, NoticeProblem, NoticeSource, StallTrigger};
use crate::reading::psi::Trigger;

const WATCH: &str = "MEMORY_PRESSURE_WATCH";
const WRITE: &str = "MEMORY_PRESSURE_WRITE";
/// The path that means "don't".
const OFF: &str = "/dev/null";
/// Longer than any trigger by far, and short enough to be written in one piece.
const WRITE_MAX_BYTES: usize = 4096;

const PROC_MAGIC: i64 = 0x9fa0;
const CGROUP_MAGIC: i64 = 0x27e0eb;
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// What the environment asks for, as it stands there.
#[derive(Clone, Debug)]
pub(crate) struct WatchRequest {
    path: OsString,
    write: Option<OsString>,
}

impl WatchRequest {
    /// `None` when nobody asks: without the variable, or when it is empty.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Option<WatchRequest> {
        let path = variable(WATCH).filter(|path| !path.is_empty())?;
        let write = variable(WRITE);
        Some(WatchRequest { path, write })
    }

    /// Opens what is asked for.
    pub(crate) fn open(&self) -> Result<Box<dyn Notice>, NoticeProblem> {
        let path = Path::new(&self.path);
        let problem = |reason| NoticeProblem::new(NoticeSource::PressureWatch, path, reason);
        if self.path == OFF {
            return Err(problem(Reason::TurnedOff));
        }
        if !path.is_absolute() {
            return Err(problem(Reason::NotAbsolute));
        }
        let write = match &self.write {
            Some(text) => base64::decode(text.as_bytes())
                .filter(|bytes| bytes.len() <= WRITE_MAX_BYTES)
                .ok_or_else(|| problem(Reason::NotBase64))?,
            None => Vec::new(),
        };
        let kind = stat(path)
            .map(|stat| FileType::from_raw_mode(stat.st_mode))
            .map_err(|error| problem(Reason::Unopened(error.into())))?;
        match kind {
            // Nothing is written to a file that the kernel did not make.
            FileType::RegularFile if is_kernels(path) => {
                // Without a trigger a PSI file never reports anything.
                let trigger = match write.as_slice() {
                    [] => Trigger::OWN.text().into_bytes(),
                    _ => write,
                };
                let set = StallTrigger::set(NoticeSource::PressureWatch, path, &trigger)?;
                Ok(Box::new(set))
            }
            FileType::Fifo => Ok(Box::new(Report::fifo(path, &write)?)),
            FileType::Socket => Ok(Box::new(Report::socket(path, &write)?)),
            _ => Err(problem(Reason::NoSuchKind)),
        }
    }
}

/// Whether the file lies in `/proc` or among the cgroups.
fn is_kernels(path: &Path) -> bool {
    statfs(path).is_ok_and(|statfs| {
        #[allow(clippy::unnecessary_cast, reason = "its width depends on the platform")]
        let magic = statfs.f_type as i64;
        [PROC_MAGIC, CGROUP_MAGIC, CGROUP2_MAGIC].contains(&magic)
    })
}
