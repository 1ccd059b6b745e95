//! [`ScopeGuard`]: from enter to exit on one thread.

use std::marker::PhantomData;
use std::panic::Location;

use crate::meter;
use crate::scope::site::site_of;
use crate::scope::stack::{FrameStack, Terms, Ticket, Verdict};
use crate::scope::{LimitExceeded, MemoryLimit, OnExceed, Site};
use crate::sys::counters::{self, Counts};
use crate::sys::jemalloc;

thread_local! {
    static FRAMES: FrameStack = const { FrameStack::new() };
}

/// An entered scope: what this thread allocates and frees until it ends counts against the limit.
///
/// Dropping it ends the scope, in any order relative to others. It can't leave its thread:
///
/// ```compile_fail,E0277
/// let scope = plimsoll::MemoryLimit::mib(1).enter();
/// std::thread::spawn(move || drop(scope));
/// ```
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
    /// The most it was seen to hold, looked at when it is checked and when it ends. A recursive entry shares the peak of
    /// the outermost entry.
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
    let terms = Terms::of(&limit);
    let start = counters::now();
    let ticket = FRAMES.with(|frames| frames.enter(site, terms, start.net_bytes()));
    if ticket.is_first() {
        prepare();
    }
    ScopeGuard {
        ticket,
        start,
        site,
        terms,
        _on_this_thread: PhantomData,
    }
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
    if FRAMES.with(FrameStack::is_empty) {
        return Ok(());
    }
    checkpoint_inside()
}

/// Not inline, so that a checkpoint without a scope is two instructions and a jump.
#[inline(never)]
fn checkpoint_inside() -> Result<(), LimitExceeded> {
    FRAMES.with(
        |frames| match frames.judge_all(counters::now().net_bytes()) {
            None => Ok(()),
            Some((site, limit_bytes, verdict)) => Err(exceeded(site, limit_bytes, verdict)),
        },
    )
}

#[cold]
fn exceeded(site: &'static Site, limit_bytes: u64, verdict: Verdict) -> LimitExceeded {
    LimitExceeded {
        site,
        limit_bytes,
        peak_bytes: positive(verdict.peak_bytes),
        used_bytes: positive(verdict.used_bytes),
    }
}

fn positive(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

impl ScopeGuard {
    /// Fails when this scope has passed its limit, whatever its policy.
    ///
    /// # Errors
    /// Says by how much.
    #[inline]
    pub fn check(&self) -> Result<(), LimitExceeded> {
        let now = counters::now();
        let verdict = FRAMES
            .with(|frames| frames.judge(self.ticket, now.net_bytes()))
            .unwrap_or_else(|| self.judge_alone(now));
        if verdict.exceeded {
            Err(exceeded(self.site, self.terms.limit_bytes, verdict))
        } else {
            Ok(())
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
        let now = counters::now();
        let verdict = self.leave(now);
        let change = now.since(self.start);
        std::mem::forget(self);
        ScopeReport {
            allocated_bytes: change.allocated_bytes,
            freed_bytes: change.freed_bytes,
            net_bytes: change.net_bytes(),
            peak_bytes: positive(verdict.peak_bytes),
            exceeded: verdict.exceeded,
            measured: jemalloc::is_global(),
        }
    }

    #[inline(never)]
    fn leave(&self, now: Counts) -> Verdict {
        let verdict = FRAMES.with(|frames| frames.leave(self.ticket, now.net_bytes()));
        if FRAMES.with(FrameStack::is_empty) {
            meter::at_boundary();
        }
        verdict.unwrap_or_else(|| {
            let verdict = self.judge_alone(now);
            if verdict.exceeded {
                self.site.note_crossing(
                    self.terms.limit_bytes,
                    positive(verdict.used_bytes),
                    self.terms.wants_cleanup,
                );
            }
            verdict
        })
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
}

impl Drop for ScopeGuard {
    #[inline]
    fn drop(&mut self) {
        let now = counters::now();
        if FRAMES.with(|frames| frames.leave_quietly(self.ticket, now.net_bytes())) {
            meter::at_boundary();
        } else {
            self.leave_loudly(now);
        }
    }
}

impl ScopeGuard {
    /// Among other scopes, past its limit, or late.
    #[inline(never)]
    fn leave_loudly(&self, now: Counts) {
        let verdict = self.leave(now);
        if verdict.exceeded && self.terms.on_exceed == OnExceed::Panic && !std::thread::panicking()
        {
            let exceeded = exceeded(self.site, self.terms.limit_bytes, verdict);
            panic!("{exceeded}");
        }
    }
}
