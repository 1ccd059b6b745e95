//! [`ScopeGuard`]: from enter to exit on one thread.

use std::marker::PhantomData;
use std::panic::Location;

use crate::meter;
use crate::scope::frame::Verdict;
use crate::scope::handle::ScopeHandle;
use crate::scope::site::site_of;
use crate::scope::stack::{Carried, FrameStack, Ticket, positive};
use crate::scope::terms::Terms;
use crate::scope::{LimitExceeded, MemoryLimit, OnExceed, Site, thread};
use crate::sys::counters::{self, Counts};
use crate::sys::jemalloc;

/// An entered scope: what this thread allocates and frees until it ends counts against the limit.
///
/// Dropping it ends the scope, in any order relative to others. It can't leave its thread:
///
/// ```compile_fail,E0277
/// let scope = plimsoll::MemoryLimit::mib(1).enter();
/// std::thread::spawn(move || drop(scope));
/// ```
///
/// Do not hold it across an `.await`: it would measure, and stop, whatever else this thread runs meanwhile. A spawned task refuses
/// that at compile time; `block_on` and tasks of one thread do not. [`WithMemoryLimit`](crate::WithMemoryLimit) is for futures.
///
/// # Panics
/// Dropping panics when the scope passed its limit under [`OnExceed::Panic`], unless the thread panics already.
#[must_use = "the scope ends when the guard is dropped; `let _ =` drops at once"]
#[derive(Debug)]
pub struct ScopeGuard {
    ticket: Ticket,
    start: Counts,
    site: &'static Site,
    terms: Terms,
    _on_this_thread: PhantomData<*const ()>,
}

/// What a scope did, from enter to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ScopeReport {
    /// Bytes that this thread allocated in the scope.
    pub allocated_bytes: u64,
    /// Bytes that this thread freed in the scope, whoever allocated them.
    pub freed_bytes: u64,
    /// Allocated minus freed.
    pub net_bytes: i64,
    /// What threads that were attached by a [`ScopeHandle`] hold beside that, as of their last event or edge.
    pub attached_net_bytes: i64,
    /// The most that all of them together were seen to hold: looked at about every 256 KiB that a thread allocates, at checks and
    /// checkpoints, and at the end. A recursive entry shares the peak of the outermost entry.
    pub peak_bytes: u64,
    /// Whether it passed its limit.
    pub exceeded: bool,
    /// `false` when jemalloc is not the global allocator: then everything here is 0 and no limit ever fires.
    pub measured: bool,
}

/// Enters a scope at `location`; `prepare` runs once on each thread, before its first scope can have
/// anything to tell. Always inline: a limit that is constant folds.
#[inline(always)]
pub(crate) fn enter(
    limit: MemoryLimit,
    location: &'static Location<'static>,
    prepare: fn(),
) -> ScopeGuard {
    let site = limit.site.unwrap_or_else(|| site_of(limit.name, location));
    let terms = Terms::of(&limit, OnExceed::Warn);
    let (ticket, start) = thread::frames(|frames| {
        if frames.is_idle() {
            let start = counters::now_resolved();
            (frames.enter_idle(site, terms, start.net_bytes()), start)
        } else {
            enter_closely(site, terms, prepare)
        }
    });
    ScopeGuard {
        ticket,
        start,
        site,
        terms,
        _on_this_thread: PhantomData,
    }
}

/// Within other scopes, or on a new thread.
#[inline(never)]
fn enter_closely(site: &'static Site, terms: Terms, prepare: fn()) -> (Ticket, Counts) {
    if thread::frames(FrameStack::is_new) {
        // Before anything is counted: it may allocate.
        prepare();
    }
    let start = counters::now();
    let ticket = thread::frames(|frames| frames.enter(site, terms, start.net_bytes()));
    (ticket, start)
}

/// Fails when a scope around the caller, on this thread, has passed its limit and its policy is
/// [`Error`](OnExceed::Error) or [`Panic`](OnExceed::Panic): the place to stop work that has become too big.
///
/// Costs a few nanoseconds, and less without a scope.
///
/// ```
/// use plimsoll::{LimitExceeded, MemoryLimit, OnExceed, checkpoint};
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// fn grow() -> Result<(), LimitExceeded> {
///     let _scope = MemoryLimit::mib(1).on_exceed(OnExceed::Error).enter();
///     let mut parts = Vec::new();
///     loop {
///         parts.push(vec![1u8; 64 << 10]);
///         checkpoint()?;
///     }
/// }
/// assert!(grow().is_err());
/// ```
///
/// # Errors
/// Names the outermost such scope.
#[inline]
pub fn checkpoint() -> Result<(), LimitExceeded> {
    let net_bytes = counters::now_resolved().net_bytes();
    if thread::frames(|frames| frames.is_calm(net_bytes)) {
        return Ok(());
    }
    checkpoint_closely(net_bytes)
}

/// Not inline, so that a checkpoint with nothing to tell is a few instructions.
#[cold]
#[inline(never)]
fn checkpoint_closely(net_bytes: i64) -> Result<(), LimitExceeded> {
    match thread::frames(|frames| frames.judge_all(net_bytes)) {
        None => Ok(()),
        Some((site, terms, verdict)) => {
            meter::start_if_unheard(site.location());
            Err(exceeded(site, terms, verdict))
        }
    }
}

#[cold]
pub(super) fn exceeded(site: &'static Site, terms: Terms, verdict: Verdict) -> LimitExceeded {
    LimitExceeded {
        site,
        limit_bytes: terms.limit_bytes,
        peak_bytes: positive(verdict.peak_bytes),
        used_bytes: positive(verdict.used_bytes),
    }
}

impl ScopeGuard {
    /// Fails when this scope has passed its limit, whatever its policy ([`OnExceed::Shadow`] alone never fails).
    ///
    /// # Errors
    /// Says by how much.
    pub fn check(&self) -> Result<(), LimitExceeded> {
        let now = counters::now_resolved();
        let verdict = thread::frames(|frames| frames.judge(self.ticket, now.net_bytes()))
            .unwrap_or_else(|| self.judge_alone(now));
        if verdict.exceeded && self.terms.on_exceed() != OnExceed::Shadow {
            meter::start_if_unheard(self.site.location());
            Err(exceeded(self.site, self.terms, verdict))
        } else {
            Ok(())
        }
    }

    /// A handle with which other threads work for this scope: what they hold counts in it.
    ///
    /// From here on the scope's numbers are shared between threads, which costs each some nanoseconds at events and edges. Takes
    /// an allocation.
    ///
    /// ```
    /// use plimsoll::MemoryLimit;
    ///
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// let scope = MemoryLimit::mib(1).named("fan out").enter();
    /// let handle = scope.handle();
    /// let kept = std::thread::spawn(move || handle.attach(|| vec![1u8; 2 << 20])).join().unwrap();
    /// assert!(scope.check().is_err());
    /// # drop(kept);
    /// ```
    pub fn handle(&self) -> ScopeHandle {
        let net_bytes = counters::now_resolved().net_bytes();
        match thread::frames(|frames| frames.share(self.ticket, net_bytes)) {
            Some(account) => ScopeHandle::new(account),
            None => ScopeHandle::alone(self.site, self.terms),
        }
    }

    /// Ends the scope and reports. The verdict is in the report, so this does not panic under [`OnExceed::Panic`].
    ///
    /// ```
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// let scope = plimsoll::MemoryLimit::mib(8).enter();
    /// let kept = vec![1u8; 1 << 20];
    /// let report = scope.finish();
    /// assert!(report.measured && !report.exceeded);
    /// assert!(report.net_bytes >= 1 << 20);
    /// # drop(kept);
    /// ```
    pub fn finish(self) -> ScopeReport {
        let now = counters::now_resolved();
        let change = now.since(self.start);
        let (verdict, ended) = self.leave(now);
        std::mem::forget(self);
        let attached_net_bytes = ended
            .and_then(|ended| Some(ended.account?.used_bytes() - ended.posted_bytes))
            .unwrap_or(0);
        ScopeReport {
            allocated_bytes: change.allocated_bytes,
            freed_bytes: change.freed_bytes,
            net_bytes: change.net_bytes(),
            attached_net_bytes,
            peak_bytes: positive(verdict.peak_bytes),
            exceeded: verdict.exceeded,
            measured: jemalloc::is_global(),
        }
    }

    /// Leaves the frame, whatever its place in the stack, and tells ledger and site.
    #[cold]
    fn leave(&self, now: Counts) -> (Verdict, Option<Carried>) {
        let left = thread::frames(|frames| frames.leave(self.ticket, now.net_bytes()));
        let (verdict, ended) = match left {
            Some(left) => {
                if let Some(ended) = &left.ended {
                    ended.end(self.site);
                }
                (left.verdict, left.ended)
            }
            None => {
                let verdict = self.judge_alone(now);
                if verdict.exceeded {
                    self.site.note_crossing(self.terms, verdict.used_bytes);
                }
                self.site.count(positive(verdict.peak_bytes));
                (verdict, None)
            }
        };
        meter::start_if_unheard(self.site.location());
        thread::at_edge();
        (verdict, ended)
    }

    /// By the guard's own numbers, when it has no frame (too deep, or an outer scope ended first).
    #[cold]
    fn judge_alone(&self, now: Counts) -> Verdict {
        let used_bytes = now.since(self.start).net_bytes();
        Verdict {
            used_bytes,
            peak_bytes: used_bytes.max(0),
            exceeded: self.terms.are_exceeded_by(used_bytes),
        }
    }

    /// Within other scopes, past its limit, shared, or late.
    #[inline(never)]
    fn leave_closely(&self, now: Counts) {
        let quietly = thread::frames(|frames| frames.leave_quietly(self.ticket, now.net_bytes()));
        if let Some(peak_bytes) = quietly {
            self.site.count(peak_bytes as u64);
            return thread::at_edge();
        }
        let (verdict, _) = self.leave(now);
        if verdict.exceeded
            && self.terms.on_exceed() == OnExceed::Panic
            && !std::thread::panicking()
        {
            let exceeded = exceeded(self.site, self.terms, verdict);
            panic!("{exceeded}");
        }
    }
}

impl Drop for ScopeGuard {
    #[inline]
    fn drop(&mut self) {
        let now = counters::now_resolved();
        match thread::frames(|frames| frames.leave_lowest(self.ticket, now.net_bytes())) {
            Some(peak_bytes) => {
                // Never negative: it began at 0.
                self.site.count(peak_bytes as u64);
                meter::at_boundary();
            }
            None => self.leave_closely(now),
        }
    }
}
