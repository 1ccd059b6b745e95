//! The open scopes of one thread. Pure: whoever calls passes the thread's net bytes in.
//!
//! ```text
//! enter        pushes a frame { serial, base = net now, limit }; recursive entry of a site joins its frame
//! judge        every open frame: used = net - base; peak = max(peak, used); used > limit latches the verdict
//! leave        the top frame pops, with every closed one below it; a frame that is not on top is marked closed;
//!              the lowest frame takes all above it along: their guards were leaked, or outlive it, and then find their
//!              frame until another scope needs its place
//! ```
//!
//! Fixed size and cells only: no allocation, no lock, no destructor, usable in the destructors of other thread-locals.

use std::cell::Cell;

use crate::scope::{MemoryLimit, OnExceed, Site};

/// Nested scopes of different sites; deeper ones are still judged by their guards, but not at checkpoints.
const MAX_DEPTH: usize = 32;

/// Which frame a guard holds; serial 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    serial: u64,
}

impl Ticket {
    const NONE: Ticket = Ticket { serial: 0 };
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) used_bytes: i64,
    pub(super) peak_bytes: i64,
    pub(super) exceeded: bool,
}

struct Frame {
    serial: Cell<u64>,
    site: Cell<Option<&'static Site>>,
    limit_bytes: Cell<i64>,
    on_exceed: Cell<OnExceed>,
    wants_cleanup: Cell<bool>,
    base_bytes: Cell<i64>,
    peak_bytes: Cell<i64>,
    entries: Cell<u32>,
    exceeded: Cell<bool>,
    closed: Cell<bool>,
}

impl Frame {
    const fn empty() -> Frame {
        Frame {
            serial: Cell::new(0),
            site: Cell::new(None),
            limit_bytes: Cell::new(0),
            on_exceed: Cell::new(OnExceed::Warn),
            wants_cleanup: Cell::new(false),
            base_bytes: Cell::new(0),
            peak_bytes: Cell::new(0),
            entries: Cell::new(0),
            exceeded: Cell::new(false),
            closed: Cell::new(false),
        }
    }

    #[inline]
    fn judge(&self, net_bytes: i64) -> Verdict {
        let used_bytes = net_bytes.wrapping_sub(self.base_bytes.get());
        if used_bytes > self.peak_bytes.get() {
            self.peak_bytes.set(used_bytes);
            if used_bytes > self.limit_bytes.get() && !self.exceeded.get() {
                self.cross(used_bytes);
            }
        }
        Verdict {
            used_bytes,
            peak_bytes: self.peak_bytes.get(),
            exceeded: self.exceeded.get(),
        }
    }

    /// Whose it is, its limit, and what is known of it at `net_bytes`.
    #[cold]
    fn told(&self, net_bytes: i64) -> Option<(&'static Site, u64, Verdict)> {
        let verdict = self.judge(net_bytes);
        Some((self.site.get()?, self.limit_bytes.get() as u64, verdict))
    }

    #[cold]
    fn cross(&self, used_bytes: i64) {
        self.exceeded.set(true);
        if let Some(site) = self.site.get() {
            site.note_crossing(
                self.limit_bytes.get() as u64,
                used_bytes as u64,
                self.wants_cleanup.get(),
            );
        }
    }
}

/// The frames of one thread.
pub(super) struct FrameStack {
    depth: Cell<usize>,
    last_serial: Cell<u64>,
    frames: [Frame; MAX_DEPTH],
}

impl FrameStack {
    pub(super) const fn new() -> Self {
        FrameStack {
            depth: Cell::new(0),
            last_serial: Cell::new(0),
            frames: [const { Frame::empty() }; MAX_DEPTH],
        }
    }

    #[inline]
    fn open(&self) -> &[Frame] {
        &self.frames[..self.depth.get().min(MAX_DEPTH)]
    }

    /// Opens a frame, or joins the open one of this site under the same limit.
    #[inline]
    pub(super) fn enter(&self, site: &'static Site, limit: &MemoryLimit, net_bytes: i64) -> Ticket {
        let limit_bytes = i64::try_from(limit.bytes).unwrap_or(i64::MAX);
        let depth = self.depth.get();
        if depth > 0
            && let Some(ticket) = self.join(site, limit, limit_bytes)
        {
            return ticket;
        }
        let Some(frame) = self.frames.get(depth) else {
            return Ticket::NONE;
        };
        let serial = self.last_serial.get() + 1;
        self.last_serial.set(serial);
        frame.serial.set(serial);
        frame.site.set(Some(site));
        frame.limit_bytes.set(limit_bytes);
        frame.on_exceed.set(limit.on_exceed);
        frame.wants_cleanup.set(limit.cleanup_on_exceed);
        frame.base_bytes.set(net_bytes);
        frame.peak_bytes.set(0);
        frame.entries.set(1);
        frame.exceeded.set(false);
        frame.closed.set(false);
        self.depth.set(depth + 1);
        Ticket { serial }
    }

    /// Joins the open frame of `site` under the same limit: recursion. Not inline: entering the outermost scope is to be small.
    #[inline(never)]
    fn join(&self, site: &'static Site, limit: &MemoryLimit, limit_bytes: i64) -> Option<Ticket> {
        let frame = self.open().iter().rev().find(|frame| {
            frame
                .site
                .get()
                .is_some_and(|open| std::ptr::eq(open, site))
                && !frame.closed.get()
                && frame.limit_bytes.get() == limit_bytes
                && frame.on_exceed.get() == limit.on_exceed
                && frame.wants_cleanup.get() == limit.cleanup_on_exceed
        })?;
        frame.entries.set(frame.entries.get().saturating_add(1));
        Some(Ticket {
            serial: frame.serial.get(),
        })
    }

    #[inline]
    fn find(&self, ticket: Ticket) -> Option<usize> {
        self.open()
            .iter()
            .rposition(|frame| frame.serial.get() == ticket.serial && !frame.closed.get())
    }

    /// Judges all open frames, and returns what is known of the ticket's own.
    #[inline]
    pub(super) fn judge(&self, ticket: Ticket, net_bytes: i64) -> Option<Verdict> {
        let mut own = None;
        for frame in self.open().iter().filter(|frame| !frame.closed.get()) {
            let verdict = frame.judge(net_bytes);
            if frame.serial.get() == ticket.serial {
                own = Some(verdict);
            }
        }
        own.or_else(|| Some(self.orphan(ticket)?.judge(net_bytes)))
    }

    /// The frame of a guard that outlived the lowest scope, unless another scope has its place by now.
    #[cold]
    fn orphan(&self, ticket: Ticket) -> Option<&Frame> {
        self.frames[self.depth.get().min(MAX_DEPTH)..]
            .iter()
            .find(|frame| frame.serial.get() == ticket.serial && !frame.closed.get())
            .filter(|_| ticket != Ticket::NONE)
    }

    /// Judges all open frames, and returns the outermost that passed its limit and does more than warn.
    #[inline]
    pub(super) fn judge_all(&self, net_bytes: i64) -> Option<(&'static Site, u64, Verdict)> {
        let mut outermost = None;
        for frame in self.open().iter().filter(|frame| !frame.closed.get()) {
            let exceeded = frame.judge(net_bytes).exceeded;
            if exceeded && outermost.is_none() && frame.on_exceed.get() != OnExceed::Warn {
                outermost = Some(frame);
            }
        }
        outermost?.told(net_bytes)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.depth.get() == 0
    }

    /// Gives up the only entry of the only open scope, as most exits do. `None` when it is not that, with nothing done.
    #[inline]
    pub(super) fn leave_only(&self, ticket: Ticket, net_bytes: i64) -> Option<Verdict> {
        let lowest = &self.frames[0];
        let is_only = self.depth.get() == 1
            && lowest.serial.get() == ticket.serial
            && lowest.entries.get() == 1;
        is_only.then(|| {
            lowest.closed.set(true);
            self.depth.set(0);
            lowest.judge(net_bytes)
        })
    }

    /// Judges all, and gives up one entry of the ticket's frame. `None` when the frame is gone already.
    pub(super) fn leave(&self, ticket: Ticket, net_bytes: i64) -> Option<Verdict> {
        let verdict = self.judge(ticket, net_bytes)?;
        let position = self.find(ticket);
        let frame = match position {
            Some(position) => &self.frames[position],
            None => self.orphan(ticket)?,
        };
        let entries = frame.entries.get().saturating_sub(1);
        frame.entries.set(entries);
        if entries == 0 {
            frame.closed.set(true);
            self.pop_closed(position == Some(0));
        }
        Some(verdict)
    }

    fn pop_closed(&self, lowest: bool) {
        if lowest {
            self.depth.set(0);
        }
        while let Some(top) = self.depth.get().checked_sub(1)
            && self.frames[top].closed.get()
        {
            self.depth.set(top);
        }
    }
}

#[cfg(test)]
mod tests;
