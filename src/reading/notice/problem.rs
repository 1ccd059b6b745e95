//! Why a source does not tell, in words for an operator.

use std::path::PathBuf;
use std::{fmt, io};

/// Who could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeSource {
    /// v2 `memory.events` of the own cgroup.
    MemoryEvents,
    /// A trigger of ours on `memory.pressure` of the own cgroup.
    StallTrigger,
    /// What `MEMORY_PRESSURE_WATCH` names.
    PressureWatch,
    /// A line over the charge of a v1 cgroup.
    ChargeLine,
}

/// A source that does not tell, or not any more, and why.
#[derive(Debug)]
pub(crate) struct NoticeProblem {
    pub(crate) source: NoticeSource,
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
pub(super) enum Reason {
    /// `MEMORY_PRESSURE_WATCH=/dev/null`: on purpose.
    TurnedOff,
    /// `MEMORY_PRESSURE_WATCH` is no absolute path.
    NotAbsolute,
    /// `MEMORY_PRESSURE_WRITE` is no base64, or too long to be meant.
    NotBase64,
    /// Neither PSI file nor FIFO nor socket.
    NoSuchKind,
    Unopened(io::Error),
    Unwritten(io::Error),
    /// Only the beginning could be written.
    WrittenInPart,
    Unreadable(io::Error),
    NotUnderstood,
    /// The other side, or the cgroup, is gone.
    Ended,
    NoThread(io::Error),
}

impl NoticeProblem {
    pub(super) fn new(
        source: NoticeSource,
        path: impl Into<PathBuf>,
        reason: Reason,
    ) -> NoticeProblem {
        NoticeProblem {
            source,
            path: path.into(),
            reason,
        }
    }

    /// The source is there, and nobody to listen to it.
    pub(crate) fn no_thread(source: NoticeSource, error: io::Error) -> NoticeProblem {
        NoticeProblem::new(source, "plimsoll-watch", Reason::NoThread(error))
    }

    /// Whether somebody wanted it so.
    pub(crate) fn is_on_purpose(&self) -> bool {
        matches!(self.reason, Reason::TurnedOff)
    }
}

impl fmt::Display for NoticeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.reason {
            Reason::TurnedOff => f.write_str("reports of memory pressure are turned off"),
            Reason::NotAbsolute => f.write_str("is no absolute path"),
            Reason::NotBase64 => {
                f.write_str("what MEMORY_PRESSURE_WRITE says should be written to it is no base64")
            }
            Reason::NoSuchKind => {
                f.write_str("is neither a PSI file nor a FIFO nor a stream socket")
            }
            Reason::Unopened(error) => write!(f, "cannot be opened: {error}"),
            Reason::Unwritten(error) => write!(f, "cannot be told what to report: {error}"),
            Reason::WrittenInPart => f.write_str("took only a part of what was written to it"),
            Reason::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Reason::NotUnderstood => f.write_str("holds something that is not understood"),
            Reason::Ended => {
                f.write_str("is gone: the other side has closed, or the cgroup was removed")
            }
            Reason::NoThread(error) => write!(f, "a thread can't be started: {error}"),
        }
    }
}
