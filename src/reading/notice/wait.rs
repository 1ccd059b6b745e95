//! Waiting for several notices at once, and for a [`Wake`].

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::Notice;

/// Wakes whoever waits.
#[derive(Debug)]
pub(crate) struct Wake(OwnedFd);

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        Ok(Wake(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    pub(crate) fn ring(&self) {
        // The one error of an eventfd that is there is a count that is full: it is ready, then.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// Waits until one of `notices` is ready, `wake` was rung or the time is up, and says which are ready: as many entries as
/// `notices`, empty flags for those that are not.
pub(crate) fn wait(
    wake: &Wake,
    notices: &[&dyn Notice],
    timeout: Option<Duration>,
) -> io::Result<Vec<PollFlags>> {
    let mut polled = Vec::with_capacity(notices.len() + 1);
    polled.push(PollFd::new(&wake.0, PollFlags::IN));
    for notice in notices {
        polled.push(PollFd::from_borrowed_fd(
            notice.descriptor(),
            notice.flags(),
        ));
    }
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    });
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = polled.iter().map(PollFd::revents);
    if ready.next().is_some_and(|woken| !woken.is_empty()) {
        wake.clear();
    }
    Ok(ready.collect())
}
