//! The open scopes of one thread. Pure: whoever calls passes the thread's net bytes (allocated minus freed) in.
//!
//! ```text
//! enter        pushes a frame { serial, base = net now, terms }; recursive entry of a site joins its frame
//! event        high = max(high, net); net above `trip` or below `floor`: every frame is settled
//! settle       every open frame: used = net - base; used > limit latches the verdict; what it gained is posted; new trip and floor
//! leave        the top frame pops, with every closed one below it; a frame that is not on top is marked closed;
//!              the lowest frame takes all above it along: their guards were leaked, or outlive it, and then find their
//!              frame until another scope needs its place
//!
//! net ^      .-- high of the inner scope, folded outwards when it leaves
//!     |     /\        ---- trip: the lowest line of all open frames: one comparison per event, however deep
//!     |  __/  \__/\__
//!     | /     ^inner  \
//!     +-^outer---------------> time
//! ```
//!
//! Fixed size and cells only: no allocation, no lock, no destructor, usable in the destructors of other thread-locals and inside
//! the allocator.

mod carried;
mod sharing;
mod ticket;

use std::cell::Cell;

use crate::scope::Site;
use crate::scope::frame::{Frame, Outer, PUBLISH_STEP_BYTES, Verdict};
use crate::scope::terms::Terms;
pub(super) use carried::Carried;
pub(super) use ticket::Ticket;

/// Nested scopes of different sites; deeper ones are still judged by their guards, but not at checkpoints.
const MAX_DEPTH: usize = 32;
/// No line: no net lies above it.
const NO_TRIP: i64 = i64::MAX;
/// Every net lies above it: each event and checkpoint takes a closer look.
const ALWAYS_TRIP: i64 = i64::MIN;
const NO_FLOOR: i64 = i64::MIN;
/// Stands in the depth until the first scope: a new thread then takes the long way in.
const NEW: usize = 1 << (usize::BITS - 1);

/// A signed count as the bytes that people read.
pub(super) fn positive(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

/// The frames of one thread.
pub(super) struct FrameStack {
    /// A net above this needs a closer look.
    trip_bytes: Cell<i64>,
    /// So does one below this.
    floor_bytes: Cell<i64>,
    /// The highest net seen since the top frame was opened, inner scopes included.
    high_bytes: Cell<i64>,
    depth: Cell<usize>,
    last_serial: Cell<u64>,
    /// There may be frames beyond the depth whose guards live on.
    has_orphans: Cell<bool>,
    frames: [Frame; MAX_DEPTH],
}

impl FrameStack {
    pub(super) const fn new() -> Self {
        FrameStack {
            trip_bytes: Cell::new(NO_TRIP),
            floor_bytes: Cell::new(NO_FLOOR),
            high_bytes: Cell::new(0),
            depth: Cell::new(NEW),
            last_serial: Cell::new(0),
            has_orphans: Cell::new(false),
            frames: [const { Frame::empty() }; MAX_DEPTH],
        }
    }

    #[inline]
    fn depth(&self) -> usize {
        self.depth.get() & !NEW
    }

    #[inline]
    fn open(&self) -> &[Frame] {
        &self.frames[..self.depth().min(MAX_DEPTH)]
    }

    /// Whether no scope was ever opened here.
    pub(super) fn is_new(&self) -> bool {
        self.depth.get() == NEW
    }

    /// No scope is open, though there was one before.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.depth.get() == 0
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.depth() == 0
    }

    /// Nothing to tell: no line was passed, and no open scope that does more than warn is past its own. What most checkpoints find.
    #[inline]
    pub(super) fn is_calm(&self, net_bytes: i64) -> bool {
        net_bytes <= self.trip_bytes.get()
    }

    /// An event of this thread's allocator, at `net_bytes`.
    #[inline]
    pub(super) fn at_event(&self, net_bytes: i64) {
        if net_bytes > self.high_bytes.get() {
            self.high_bytes.set(net_bytes);
        }
        if net_bytes > self.trip_bytes.get() || net_bytes < self.floor_bytes.get() {
            self.settle(net_bytes);
        }
    }

    /// Opens the lowest frame of an idle stack: the short way in.
    #[inline(always)]
    pub(super) fn enter_idle(&self, site: &'static Site, terms: Terms, net_bytes: i64) -> Ticket {
        let serial = self.last_serial.get() + 1;
        self.last_serial.set(serial);
        self.frames[0].open(serial, site, terms, net_bytes);
        self.high_bytes.set(net_bytes);
        self.trip_bytes.set(first_line_bytes(terms, net_bytes));
        self.depth.set(1);
        Ticket::of(serial)
    }

    /// Opens a frame, or joins the open one of this site under the same terms.
    pub(super) fn enter(&self, site: &'static Site, terms: Terms, net_bytes: i64) -> Ticket {
        if let Some(ticket) = self.join(site, terms) {
            return ticket;
        }
        match self.push(site, terms, net_bytes) {
            Some(frame) => {
                self.lower_trip(first_line_bytes(terms, net_bytes));
                frame.ticket()
            }
            None => Ticket::NONE,
        }
    }

    /// Opens a frame for a scope that goes on where it was: a future at its next poll.
    #[inline]
    pub(super) fn resume(
        &self,
        site: &'static Site,
        terms: Terms,
        carried: &mut Carried,
        net_bytes: i64,
    ) -> Ticket {
        if let Some(account) = &carried.account
            && self.posts_to(account)
        {
            return Ticket::COVERED;
        }
        let base_bytes = net_bytes.wrapping_sub(carried.used_bytes);
        let Some(frame) = self.push(site, terms, base_bytes) else {
            return Ticket::NONE;
        };
        self.high_bytes.set(net_bytes);
        if frame.carry_in(carried) {
            self.find_lines();
        } else {
            self.lower_trip(frame.line_bytes());
            self.floor_bytes
                .set(self.floor_bytes.get().max(frame.floor_bytes()));
        }
        frame.ticket()
    }

    /// The next free frame, open, at `base_bytes`, with a new serial.
    #[inline]
    fn push(&self, site: &'static Site, terms: Terms, base_bytes: i64) -> Option<&Frame> {
        let depth = self.depth();
        let frame = self.frames.get(depth)?;
        let serial = self.last_serial.get() + 1;
        self.last_serial.set(serial);
        let outer = Outer {
            high_bytes: self.high_bytes.get(),
            trip_bytes: self.trip_bytes.get(),
            floor_bytes: self.floor_bytes.get(),
        };
        frame.open(serial, site, terms, base_bytes);
        frame.outer.set(outer);
        self.high_bytes.set(base_bytes);
        self.depth.set(depth + 1);
        Some(frame)
    }

    #[inline]
    fn lower_trip(&self, line_bytes: i64) {
        self.trip_bytes.set(self.trip_bytes.get().min(line_bytes));
    }

    /// Joins the open frame of `site` under the same terms: recursion.
    fn join(&self, site: &'static Site, terms: Terms) -> Option<Ticket> {
        let frame = self
            .open()
            .iter()
            .rev()
            .find(|frame| !frame.is_closed() && frame.can_be_joined(site, terms))?;
        frame.enter_again();
        Some(frame.ticket())
    }

    fn find(&self, ticket: Ticket) -> Option<usize> {
        self.open()
            .iter()
            .rposition(|frame| frame.ticket() == ticket && !frame.is_closed())
    }

    /// The frame of a guard that outlived the lowest scope, unless another scope has its place by now.
    #[cold]
    fn orphan(&self, ticket: Ticket) -> Option<&Frame> {
        self.frames[self.depth().min(MAX_DEPTH)..]
            .iter()
            .find(|frame| frame.ticket() == ticket && !frame.is_closed())
    }

    /// Judges every open frame and has each post what it gained; afterwards no line lies below `net_bytes` that was not acted on.
    #[cold]
    #[inline(never)]
    fn settle(&self, net_bytes: i64) {
        let mut high_bytes = self.high_bytes.get().max(net_bytes);
        self.high_bytes.set(high_bytes);
        for frame in self.open().iter().rev() {
            if !frame.is_closed() {
                frame.settle(net_bytes, high_bytes);
            }
            high_bytes = high_bytes.max(frame.outer.get().high_bytes);
        }
        self.find_lines();
    }

    /// Finds trip and floor anew, from the lowest frame up.
    fn find_lines(&self) {
        let mut trip_bytes = NO_TRIP;
        let mut floor_bytes = NO_FLOOR;
        for frame in self.open() {
            let outer = frame.outer.get();
            frame.outer.set(Outer {
                trip_bytes,
                floor_bytes,
                ..outer
            });
            if frame.is_closed() {
                continue;
            }
            let line_bytes = if frame.is_shared() || frame.stops_work() {
                ALWAYS_TRIP
            } else {
                frame.line_bytes()
            };
            trip_bytes = trip_bytes.min(line_bytes);
            floor_bytes = floor_bytes.max(frame.floor_bytes());
        }
        self.trip_bytes.set(trip_bytes);
        self.floor_bytes.set(floor_bytes);
    }

    /// Settles all, and returns what is known of the ticket's own frame.
    pub(super) fn judge(&self, ticket: Ticket, net_bytes: i64) -> Option<Verdict> {
        self.settle(net_bytes);
        match self.find(ticket) {
            Some(position) => Some(self.frames[position].verdict(net_bytes)),
            None => {
                let frame = self.orphan(ticket)?;
                frame.judge(net_bytes, net_bytes);
                Some(frame.verdict(net_bytes))
            }
        }
    }

    /// Settles all, and returns the outermost that passed its limit and does more than warn.
    pub(super) fn judge_all(&self, net_bytes: i64) -> Option<(&'static Site, Terms, Verdict)> {
        self.settle(net_bytes);
        let frame = self
            .open()
            .iter()
            .find(|frame| !frame.is_closed() && frame.stops_work())?;
        Some((
            frame.site.get()?,
            frame.terms.get(),
            frame.verdict(net_bytes),
        ))
    }

    /// Ends the only open scope, if that is the ticket's and has nothing to tell: the short way out. Returns its peak. Else does
    /// nothing.
    #[inline(always)]
    pub(super) fn leave_lowest(&self, ticket: Ticket, net_bytes: i64) -> Option<i64> {
        let lowest = &self.frames[0];
        let high_bytes = self.high_bytes.get().max(net_bytes);
        let is_quiet = self.depth.get() == 1
            && lowest.ticket() == ticket
            && lowest.is_plain()
            && self.is_calm(high_bytes);
        is_quiet.then(|| {
            self.depth.set(0);
            self.trip_bytes.set(NO_TRIP);
            lowest.peak_at(high_bytes)
        })
    }

    /// Ends the top scope, if that is the ticket's and has nothing to tell. Returns its peak. Else does nothing.
    pub(super) fn leave_quietly(&self, ticket: Ticket, net_bytes: i64) -> Option<i64> {
        let position = self.depth().wrapping_sub(1);
        let top = self.frames.get(position)?;
        let high_bytes = self.high_bytes.get().max(net_bytes);
        let is_quiet = top.ticket() == ticket && top.is_plain() && self.is_calm(high_bytes);
        is_quiet.then(|| self.pop(position, top, high_bytes))
    }

    /// Suspends the top scope, if that is the ticket's and has nothing to tell: what most polls end with. Else does nothing.
    #[inline]
    pub(super) fn suspend_quietly(
        &self,
        ticket: Ticket,
        carried: &mut Carried,
        net_bytes: i64,
    ) -> bool {
        let position = self.depth().wrapping_sub(1);
        let Some(top) = self.frames.get(position) else {
            return false;
        };
        let high_bytes = self.high_bytes.get().max(net_bytes);
        let is_quiet = top.ticket() == ticket
            && top.is_plain_or_told()
            && self.is_calm(high_bytes)
            && net_bytes >= self.floor_bytes.get();
        if is_quiet {
            carried.used_bytes = net_bytes.wrapping_sub(top.base_bytes.get());
            carried.published_bytes = top.published_bytes();
            carried.peak_bytes = self.pop(position, top, high_bytes);
        }
        is_quiet
    }

    /// Pops the top frame, which is at `position`, and folds its high outwards. Returns its peak.
    #[inline]
    fn pop(&self, position: usize, top: &Frame, high_bytes: i64) -> i64 {
        if position == 0 {
            self.trip_bytes.set(NO_TRIP);
            self.floor_bytes.set(NO_FLOOR);
        } else {
            let outer = top.outer.get();
            self.high_bytes.set(high_bytes.max(outer.high_bytes));
            self.trip_bytes.set(outer.trip_bytes);
            self.floor_bytes.set(outer.floor_bytes);
        }
        self.depth.set(position);
        top.peak_at(high_bytes)
    }

    /// Settles all, and gives up one entry of the ticket's frame. `None` when the frame is gone already.
    pub(super) fn leave(&self, ticket: Ticket, net_bytes: i64) -> Option<Left> {
        self.leave_if(ticket, net_bytes, Frame::give_up_entry)
    }

    /// The same for a poll or an attachment, which ends whoever joined it: those find their frame gone.
    pub(super) fn close(&self, ticket: Ticket, net_bytes: i64) -> Option<Carried> {
        self.leave_if(ticket, net_bytes, |_| true)?.ended
    }

    fn leave_if(
        &self,
        ticket: Ticket,
        net_bytes: i64,
        is_last: impl FnOnce(&Frame) -> bool,
    ) -> Option<Left> {
        let verdict = self.judge(ticket, net_bytes)?;
        let position = self.find(ticket);
        let frame = match position {
            Some(position) => &self.frames[position],
            None => self.orphan(ticket)?,
        };
        if !is_last(frame) {
            return Some(Left {
                verdict,
                ended: None,
            });
        }
        let ended = frame.carry_out(verdict);
        if let Some(position) = position {
            self.pop_closed(position);
        }
        Some(Left {
            verdict,
            ended: Some(ended),
        })
    }

    /// After the frame at `position` was closed: pops it if it is on top, with every closed one below; the lowest takes all along.
    fn pop_closed(&self, position: usize) {
        let mut high_bytes = self.high_bytes.get();
        while let Some(top) = self.depth().checked_sub(1) {
            let frame = &self.frames[top];
            if position == 0 {
                self.has_orphans
                    .set(self.has_orphans.get() || !frame.is_closed());
                frame.fall_silent();
            } else if !frame.is_closed() {
                if let Some(above) = self.frames[..=top].get(position + 1) {
                    above.stands_above_closed();
                }
                break;
            }
            high_bytes = high_bytes.max(frame.outer.get().high_bytes);
            self.depth.set(top);
        }
        self.high_bytes.set(high_bytes);
        self.find_lines();
    }
}

/// Where a scope that holds nothing yet wants to be looked at: at its limit, or at the step at which its site is told. No sum of a
/// net and a step overflows.
#[inline]
fn first_line_bytes(terms: Terms, net_bytes: i64) -> i64 {
    net_bytes.wrapping_add(terms.limit_bytes.min(PUBLISH_STEP_BYTES as u64) as i64)
}

/// What [`FrameStack::leave`] found.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) verdict: Verdict,
    /// What the scope takes along, when this was its last entry.
    pub(super) ended: Option<Carried>,
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
