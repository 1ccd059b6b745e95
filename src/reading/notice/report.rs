//! A FIFO or socket on which somebody says that memory is short: every byte of it means just that.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};

use super::problem::Reason;
use super::{Notice, NoticeProblem, NoticeSource, PollFlags, Told};

/// At most so much is thrown away at a time, so that somebody who writes faster than that holds up nobody.
const READS_PER_ANSWER: usize = 16;
const READ_BYTES: usize = 4096;

pub(super) struct Report {
    path: PathBuf,
    descriptor: OwnedFd,
}

/// What there was to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Nothing,
    Something,
    End,
}

impl Report {
    /// Open for reading and writing: a FIFO that has lost its last writer would be ready for ever.
    pub(super) fn fifo(path: &Path, greeting: &[u8]) -> Result<Report, NoticeProblem> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let report = Report::new(path, opened)?;
        report.greet(greeting, |fifo, text| rustix::io::write(fifo, text))?;
        // What nobody else has read by now would come back as a report of our own.
        if !greeting.is_empty() {
            let _ = report.read_all();
        }
        Ok(report)
    }

    pub(super) fn socket(path: &Path, greeting: &[u8]) -> Result<Report, NoticeProblem> {
        let connected = (|| {
            // Nonblocking: a backlog that is full is an error and no wait.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            connect(&socket, &SocketAddrUnix::new(path)?)?;
            Ok(socket)
        })();
        let report = Report::new(path, connected)?;
        // To a peer that has closed: an error and no signal.
        report.greet(greeting, |socket, text| {
            send(socket, text, SendFlags::NOSIGNAL)
        })?;
        Ok(report)
    }

    fn new(path: &Path, opened: Result<OwnedFd, Errno>) -> Result<Report, NoticeProblem> {
        match opened {
            Ok(descriptor) => Ok(Report {
                path: path.to_owned(),
                descriptor,
            }),
            Err(error) => Err(NoticeProblem::new(
                NoticeSource::PressureWatch,
                path,
                Reason::Unopened(error.into()),
            )),
        }
    }

    fn greet(
        &self,
        greeting: &[u8],
        write: impl FnOnce(&OwnedFd, &[u8]) -> Result<usize, Errno>,
    ) -> Result<(), NoticeProblem> {
        if greeting.is_empty() {
            return Ok(());
        }
        match write(&self.descriptor, greeting) {
            Ok(bytes) if bytes == greeting.len() => Ok(()),
            Ok(_) => Err(self.problem(Reason::WrittenInPart)),
            Err(error) => Err(self.problem(Reason::Unwritten(error.into()))),
        }
    }

    fn read_all(&self) -> Result<Read, Errno> {
        let mut read = Read::Nothing;
        for _ in 0..READS_PER_ANSWER {
            match rustix::io::read(&self.descriptor, &mut [0; READ_BYTES]) {
                Ok(0) if read == Read::Nothing => return Ok(Read::End),
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(_) => read = Read::Something,
                Err(Errno::INTR) => {}
                Err(_) if read == Read::Something => break,
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn problem(&self, reason: Reason) -> NoticeProblem {
        NoticeProblem::new(NoticeSource::PressureWatch, &self.path, reason)
    }
}

impl Notice for Report {
    fn source(&self) -> NoticeSource {
        NoticeSource::PressureWatch
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn flags(&self) -> PollFlags {
        PollFlags::IN
    }

    fn answer(&mut self, ready: PollFlags) -> Result<Told, NoticeProblem> {
        match self.read_all() {
            Ok(Read::Something) => Ok(Told::Stalled),
            // Ready, with nothing to read: it would be so for ever.
            Ok(Read::Nothing) if ready.intersects(PollFlags::ERR | PollFlags::NVAL) => {
                Err(self.problem(Reason::Ended))
            }
            Ok(Read::Nothing) => Ok(Told::Nothing),
            Ok(Read::End) => Err(self.problem(Reason::Ended)),
            Err(error) => Err(self.problem(Reason::Unreadable(error.into()))),
        }
    }
}
