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

    /// Whether it is its thread's first.
    #[inline]
    pub(super) fn is_first(self) -> bool {
        self.serial == 1
    }
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
    terms: Cell<Terms>,
    base_bytes: Cell<i64>,
    peak_bytes: Cell<i64>,
    entries: Cell<u32>,
    state: Cell<State>,
}

/// What a frame is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limit_bytes: u64,
    pub(super) on_exceed: OnExceed,
    pub(super) wants_cleanup: bool,
}

impl Terms {
    #[inline]
    pub(super) fn of(limit: &MemoryLimit) -> Self {
        Terms {
            limit_bytes: limit.bytes,
            on_exceed: limit.on_exceed,
            wants_cleanup: limit.cleanup_on_exceed,
        }
    }

    #[inline]
    pub(super) fn are_exceeded_by(self, used_bytes: i64) -> bool {
        used_bytes > 0 && used_bytes as u64 > self.limit_bytes
    }
}

#[derive(Clone, Copy)]
struct State {
    exceeded: bool,
    closed: bool,
}

impl State {
    const OPEN: State = State {
        exceeded: false,
        closed: false,
    };
}

impl Frame {
    const fn empty() -> Frame {
        Frame {
            serial: Cell::new(0),
            site: Cell::new(None),
            terms: Cell::new(Terms {
                limit_bytes: 0,
                on_exceed: OnExceed::Warn,
                wants_cleanup: false,
            }),
            base_bytes: Cell::new(0),
            peak_bytes: Cell::new(0),
            entries: Cell::new(0),
            state: Cell::new(State {
                closed: true,
                ..State::OPEN
            }),
        }
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.state.get().closed
    }

    #[inline]
    fn close(&self) {
        let state = self.state.get();
        self.state.set(State {
            closed: true,
            ..state
        });
    }

    #[inline]
    fn judge(&self, net_bytes: i64) -> Verdict {
        let used_bytes = net_bytes.wrapping_sub(self.base_bytes.get());
        if used_bytes > self.peak_bytes.get() {
            self.peak_bytes.set(used_bytes);
            if self.terms.get().are_exceeded_by(used_bytes) && !self.state.get().exceeded {
                self.cross(used_bytes);
            }
        }
        Verdict {
            used_bytes,
            peak_bytes: self.peak_bytes.get(),
            exceeded: self.state.get().exceeded,
        }
    }

    /// Whose it is, its limit, and what is known of it at `net_bytes`.
    #[cold]
    fn told(&self, net_bytes: i64) -> Option<(&'static Site, u64, Verdict)> {
        let verdict = self.judge(net_bytes);
        Some((self.site.get()?, self.terms.get().limit_bytes, verdict))
    }

    #[cold]
    fn cross(&self, used_bytes: i64) {
        let state = self.state.get();
        self.state.set(State {
            exceeded: true,
            ..state
        });
        if let Some(site) = self.site.get() {
            let terms = self.terms.get();
            site.note_crossing(terms.limit_bytes, used_bytes as u64, terms.wants_cleanup);
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

    /// Opens a frame, or joins the open one of this site under the same terms. Never inline: its few arguments travel in
    /// registers, and callers stay small enough for the thread-local's access to be inlined.
    #[inline(never)]
    pub(super) fn enter(&self, site: &'static Site, terms: Terms, net_bytes: i64) -> Ticket {
        let depth = self.depth.get();
        if depth > 0
            && let Some(ticket) = self.join(site, terms)
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
        frame.terms.set(terms);
        frame.base_bytes.set(net_bytes);
        frame.peak_bytes.set(0);
        frame.entries.set(1);
        frame.state.set(State::OPEN);
        self.depth.set(depth + 1);
        Ticket { serial }
    }

    /// Joins the open frame of `site` under the same terms: recursion.
    #[inline(never)]
    fn join(&self, site: &'static Site, terms: Terms) -> Option<Ticket> {
        let frame = self.open().iter().rev().find(|frame| {
            frame
                .site
                .get()
                .is_some_and(|open| std::ptr::eq(open, site))
                && !frame.is_closed()
                && frame.terms.get() == terms
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
            .rposition(|frame| frame.serial.get() == ticket.serial && !frame.is_closed())
    }

    /// Judges all open frames, and returns what is known of the ticket's own.
    #[inline]
    pub(super) fn judge(&self, ticket: Ticket, net_bytes: i64) -> Option<Verdict> {
        let mut own = None;
        for frame in self.open().iter().filter(|frame| !frame.is_closed()) {
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
            .find(|frame| frame.serial.get() == ticket.serial && !frame.is_closed())
            .filter(|_| ticket != Ticket::NONE)
    }

    /// Judges all open frames, and returns the outermost that passed its limit and does more than warn.
    #[inline]
    pub(super) fn judge_all(&self, net_bytes: i64) -> Option<(&'static Site, u64, Verdict)> {
        let mut outermost = None;
        for frame in self.open().iter().filter(|frame| !frame.is_closed()) {
            let exceeded = frame.judge(net_bytes).exceeded;
            if exceeded && outermost.is_none() && frame.terms.get().on_exceed != OnExceed::Warn {
                outermost = Some(frame);
            }
        }
        outermost?.told(net_bytes)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.depth.get() == 0
    }

    /// Ends the only open scope, if that is the ticket's, has one entry, and never passed its limit: what most exits are.
    /// Else does nothing.
    #[inline]
    pub(super) fn leave_quietly(&self, ticket: Ticket, net_bytes: i64) -> bool {
        let lowest = &self.frames[0];
        let used_bytes = net_bytes.wrapping_sub(lowest.base_bytes.get());
        let is_quiet = self.depth.get() == 1
            && lowest.serial.get() == ticket.serial
            && lowest.entries.get() == 1
            && !lowest.state.get().exceeded
            && !lowest.terms.get().are_exceeded_by(used_bytes);
        if is_quiet {
            self.depth.set(0);
        }
        is_quiet
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
            frame.close();
            self.pop_closed(position == Some(0));
        }
        Some(verdict)
    }

    fn pop_closed(&self, lowest: bool) {
        if lowest {
            self.depth.set(0);
        }
        while let Some(top) = self.depth.get().checked_sub(1)
            && self.frames[top].is_closed()
        {
            self.depth.set(top);
        }
    }
}

#[cfg(test)]
mod tests;
