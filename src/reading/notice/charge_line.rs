//! v1: an eventfd that is ready when the charge of a cgroup passes a line, up or down.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags};

use super::problem::Reason;
use super::{Notice, NoticeProblem, NoticeSource, PollFlags, Told};
use crate::reading::cgroup::parse_bytes;
use crate::reading::held::HeldFile;

/// A line over the raw charge, page cache included. Dropping it takes the line away.
pub(crate) struct ChargeLine {
    path: PathBuf,
    event: OwnedFd,
    usage: HeldFile,
    bytes: u64,
}

impl ChargeLine {
    /// Asks the kernel to tell when the cgroup in `dir` is charged `bytes`.
    pub(crate) fn open(dir: &Path, bytes: u64) -> Result<ChargeLine, NoticeProblem> {
        let path = dir.join("cgroup.event_control");
        let problem =
            |path: &Path, reason| NoticeProblem::new(NoticeSource::ChargeLine, path, reason);
        let usage_path = dir.join("memory.usage_in_bytes");
        let usage = HeldFile::open(&usage_path)
            .map_err(|error| problem(&usage_path, Reason::Unopened(error)))?;
        let opened = |error: rustix::io::Errno| problem(&path, Reason::Unopened(error.into()));
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(opened)?;
        let control = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(opened)?;
        let order = format!(
            "{} {} {bytes}",
            event.as_raw_fd(),
            usage.descriptor().as_raw_fd()
        );
        rustix::io::write(&control, order.as_bytes())
            .map_err(|error| problem(&path, Reason::Unwritten(error.into())))?;
        Ok(ChargeLine {
            path: usage_path,
            event,
            usage,
            bytes,
        })
    }
}

impl Notice for ChargeLine {
    fn source(&self) -> NoticeSource {
        NoticeSource::ChargeLine
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    fn flags(&self) -> PollFlags {
        PollFlags::IN
    }

    /// The kernel tells once more when the cgroup is removed, and then never again.
    fn answer(&mut self, _ready: PollFlags) -> Result<Told, NoticeProblem> {
        // Nonblocking; what it counted does not matter.
        let _ = rustix::io::read(&self.event, &mut [0; 8]);
        let mut buf = [0; 32];
        let charge = self
            .usage
            .read_once(&mut buf)
            .map_err(Reason::Unreadable)
            .and_then(|text| parse_bytes(text).ok_or(Reason::NotUnderstood));
        match charge {
            Ok(bytes) if bytes >= self.bytes => Ok(Told::Look),
            Ok(_) => Ok(Told::Nothing),
            Err(reason) => Err(NoticeProblem::new(
                NoticeSource::ChargeLine,
                &self.path,
                reason,
            )),
        }
    }
}
