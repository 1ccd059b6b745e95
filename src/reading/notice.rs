//! What tells earlier than the next tick: descriptors that the kernel, or systemd, makes ready when something happens.
//!
//! ```text
//! v2  memory.events                 POLLPRI   a limit was touched, somebody was killed
//! v2  memory.pressure               POLLPRI   tasks waited for memory (a trigger was written)
//! v1  eventfd, cgroup.event_control POLLIN    the charge passed a line
//! $MEMORY_PRESSURE_WATCH            either    systemd says that tasks waited
//! ```
//!
//! A notice is a reason to look and no reading. One that can't be had, or ends, is a [`NoticeProblem`].

mod base64;
mod charge_line;
mod memory_events;
mod problem;
mod report;
mod stall;
mod wait;
mod watch_request;

#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;

pub(crate) use rustix::event::PollFlags;

pub(crate) use self::charge_line::ChargeLine;
pub(crate) use self::memory_events::MemoryEvents;
pub(crate) use self::problem::{NoticeProblem, NoticeSource};
pub(crate) use self::stall::{StallCounter, StallTrigger};
pub(crate) use self::wait::{Wake, wait};
pub(crate) use self::watch_request::WatchRequest;

/// Something to poll.
pub(crate) trait Notice: Send {
    /// Who tells.
    fn source(&self) -> NoticeSource;

    fn descriptor(&self) -> BorrowedFd<'_>;

    /// What to poll for.
    fn flags(&self) -> PollFlags;

    /// It is ready: takes the event, so that the next poll waits for the next one, and says what it meant. After an error
    /// nothing will come any more; it must not be polled again, or would be ready for ever.
    fn answer(&mut self, ready: PollFlags) -> Result<Told, NoticeProblem>;
}

/// What an event meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing has happened.
    Nothing,
    /// The kernel reported waiting that its own counter does not show.
    FalseAlarm,
    /// Take a reading.
    Look,
    /// Tasks wait for memory.
    Stalled,
    /// The kernel killed so many processes of this cgroup.
    Killed(u64),
}
