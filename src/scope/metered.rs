//! A future whose polls run in a scope: the one mechanism under everything async.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::meter;
use crate::scope::frame::Verdict;
use crate::scope::guard::exceeded;
use crate::scope::stack::{Carried, Ticket};
use crate::scope::terms::Terms;
use crate::scope::{LimitExceeded, Site, thread};
use crate::sys::counters::{self, Counts};

pin_project! {
    /// A future in a scope that is entered for each poll and for its drop, and goes on where it was.
    ///
    /// ```text
    /// poll: resume frame (base = net - held) -> inner poll -> suspend (held = net - base) -> past the limit? drop it, say so
    /// ```
    #[derive(Debug)]
    #[project = MeteredProjection]
    pub(super) struct Metered<F> {
        #[pin]
        future: Option<F>,
        scope: FutureScope,
    }

    impl<F> PinnedDrop for Metered<F> {
        fn drop(this: Pin<&mut Self>) {
            this.project().end();
        }
    }
}

/// The scope of a future between and during its polls.
#[derive(Debug)]
struct FutureScope {
    site: &'static Site,
    terms: Terms,
    held: Carried,
    was_entered: bool,
}

impl<F> Metered<F> {
    pub(super) fn new(site: &'static Site, terms: Terms, future: F) -> Self {
        Metered {
            future: Some(future),
            scope: FutureScope::new(site, terms),
        }
    }

    /// A scope that has begun, around a future that [`Making`] puts in.
    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn begun(site: &'static Site, terms: Terms) -> Self {
        let mut scope = FutureScope::new(site, terms);
        scope.was_entered = true;
        Metered {
            future: None,
            scope,
        }
    }

    /// From here to [`Making::done`] this thread works for the scope.
    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn making(&mut self) -> Making<'_, F> {
        let entry = self.scope.enter();
        Making {
            metered: self,
            entry,
            _on_this_thread: PhantomData,
        }
    }

    pub(super) fn terms(&self) -> Terms {
        self.scope.terms
    }
}

impl<F> MeteredProjection<'_, F> {
    /// Drops the future inside the scope, and ends that.
    fn end(&mut self) {
        if self.future.is_some() {
            let ending = Ending(self.scope);
            let run = Run::of(ending.0);
            self.future.set(None);
            drop(run);
            drop(ending);
        }
    }
}

impl<F: Future> Metered<F> {
    /// Polls it. `verdict` is an error from then on if it passed its limit: with a value that is there all the same, without one when
    /// that stopped the work, and the future is gone. It comes apart from the value because values may be large, and each move counts.
    #[inline]
    pub(super) fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        verdict: &mut Result<(), LimitExceeded>,
    ) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            polled_after_ready(this.scope.site);
        };
        // Threads that work for it may have passed its limit meanwhile.
        if this.scope.is_to_stop() {
            *verdict = Err(this.stop());
            return Poll::Pending;
        }
        this.scope.was_entered = true;
        let mut run = Run::of(this.scope);
        let polled = future.poll(context);
        if polled.is_ready() {
            // Its drop belongs to the scope, and is the last of it, even if it panics.
            run.is_last = true;
            this.future.set(None);
        }
        drop(run);
        if polled.is_ready() {
            *verdict = this.scope.judged();
        } else if this.scope.is_to_stop() {
            *verdict = Err(this.stop());
        }
        polled
    }
}

#[cold]
fn polled_after_ready(site: &Site) -> ! {
    panic!("a future with a memory limit ({site}) was polled after it was ready")
}

impl<F> MeteredProjection<'_, F> {
    #[cold]
    fn stop(&mut self) -> LimitExceeded {
        // What it held when it was stopped; its drop comes after that, and is charged all the same.
        let verdict = self.scope.verdict();
        self.end();
        exceeded(self.scope.site, self.scope.terms, verdict)
    }
}

impl FutureScope {
    fn new(site: &'static Site, terms: Terms) -> Self {
        FutureScope {
            site,
            terms,
            held: Carried::default(),
            was_entered: false,
        }
    }

    #[inline]
    fn enter(&mut self) -> Entry {
        let start = counters::now();
        let ticket = thread::frames(|frames| {
            frames.resume(self.site, self.terms, &mut self.held, start.net_bytes())
        });
        Entry { ticket, start }
    }

    /// The other end of an entry; of the scope too, if it `is_last`.
    #[inline]
    fn leave(&mut self, entry: Entry, is_last: bool) {
        let now = counters::now();
        let is_quiet = thread::frames(|frames| {
            frames.suspend_quietly(entry.ticket, &mut self.held, now.net_bytes())
        });
        if !is_quiet {
            self.leave_loudly(entry, now);
        }
        if is_last {
            self.held.end(self.site);
        }
        thread::at_edge();
    }

    #[inline(never)]
    fn leave_loudly(&mut self, entry: Entry, now: Counts) {
        if entry.ticket == Ticket::COVERED {
            return;
        }
        match thread::frames(|frames| frames.close(entry.ticket, now.net_bytes())) {
            Some(held) => self.held = held,
            None => self.carry_alone(entry, now),
        }
        meter::start_if_unheard(self.site.location());
    }

    /// It had no frame (nested too deep, or an outer scope ended first): judged by what the poll did, at its end.
    #[cold]
    fn carry_alone(&mut self, entry: Entry, now: Counts) {
        let FutureScope {
            site, terms, held, ..
        } = self;
        let gained_bytes = now.since(entry.start).net_bytes();
        held.used_bytes = held.used_bytes.wrapping_add(gained_bytes);
        held.peak_bytes = held.peak_bytes.max(held.used_bytes);
        if let Some(account) = &held.account {
            account.post(gained_bytes);
            held.posted_bytes += gained_bytes;
        } else if !held.exceeded && terms.are_exceeded_by(held.used_bytes) {
            held.exceeded = true;
            site.note_crossing(*terms, held.used_bytes);
        }
    }

    #[inline]
    fn is_to_stop(&self) -> bool {
        let passed = match &self.held.account {
            Some(account) => account.is_exceeded(),
            None => self.held.exceeded,
        };
        passed && self.terms.stop_work()
    }

    fn verdict(&self) -> Verdict {
        self.held.verdict()
    }

    fn judged(&self) -> Result<(), LimitExceeded> {
        let verdict = self.verdict();
        if verdict.exceeded {
            Err(exceeded(self.site, self.terms, verdict))
        } else {
            Ok(())
        }
    }
}

/// The end of the scope, even if the future's destructor panics.
struct Ending<'a>(&'a mut FutureScope);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let FutureScope { site, held, .. } = &*self.0;
        if self.0.was_entered {
            held.end(site);
        } else {
            held.fall_silent(site);
        }
    }
}

/// This thread came to work for the scope.
#[derive(Clone, Copy)]
struct Entry {
    ticket: Ticket,
    start: Counts,
}

/// One poll, or the drop; ends in every way that a poll can end.
struct Run<'a> {
    scope: &'a mut FutureScope,
    entry: Entry,
    /// The scope ends with it.
    is_last: bool,
    _on_this_thread: PhantomData<*const ()>,
}

impl<'a> Run<'a> {
    #[inline]
    fn of(scope: &'a mut FutureScope) -> Self {
        let entry = scope.enter();
        Run {
            scope,
            entry,
            is_last: false,
            _on_this_thread: PhantomData,
        }
    }
}

impl Drop for Run<'_> {
    #[inline]
    fn drop(&mut self) {
        self.scope.leave(self.entry, self.is_last);
    }
}

/// The future of a scope is being made, inside of it. Should that panic, the scope ends.
#[cfg(feature = "tower")]
pub(crate) struct Making<'a, F> {
    metered: &'a mut Metered<F>,
    entry: Entry,
    _on_this_thread: PhantomData<*const ()>,
}

#[cfg(feature = "tower")]
impl<F> Making<'_, F> {
    #[inline]
    pub(crate) fn done(self, future: F) {
        self.metered.future = Some(future);
    }
}

#[cfg(feature = "tower")]
impl<F> Drop for Making<'_, F> {
    #[inline]
    fn drop(&mut self) {
        let has_failed = self.metered.future.is_none();
        self.metered.scope.leave(self.entry, has_failed);
    }
}
