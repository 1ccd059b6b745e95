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

/// How a metered future ended.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// It was ready; whether it had passed its limit by then.
    Ready(T, Result<(), LimitExceeded>),
    /// It passed its limit under terms that stop the work, and is gone.
    Stopped(LimitExceeded),
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

    /// The future that `make` returns, in a scope that begins with the call of `make`.
    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn made_by(site: &'static Site, terms: Terms, make: impl FnOnce() -> F) -> Self {
        let mut scope = FutureScope::new(site, terms);
        scope.was_entered = true;
        // Should `make` panic, the scope ends all the same.
        let ending = Ending(&mut scope);
        let run = ending.0.enter();
        let future = make();
        drop(run);
        std::mem::forget(ending);
        Metered {
            future: Some(future),
            scope,
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
            let run = ending.0.enter();
            self.future.set(None);
            drop(run);
            drop(ending);
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Outcome<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            polled_after_ready(this.scope.site);
        };
        // Threads that work for it may have passed its limit meanwhile.
        if this.scope.is_to_stop() {
            return Poll::Ready(Outcome::Stopped(this.stop()));
        }
        this.scope.was_entered = true;
        let mut run = this.scope.enter();
        let polled = future.poll(context);
        if polled.is_ready() {
            // Its drop belongs to the scope, and is the last of it, even if it panics.
            run.is_last = true;
            this.future.set(None);
        }
        drop(run);
        match polled {
            Poll::Pending if this.scope.is_to_stop() => Poll::Ready(Outcome::Stopped(this.stop())),
            Poll::Pending => Poll::Pending,
            Poll::Ready(value) => {
                let verdict = this.scope.verdict();
                Poll::Ready(Outcome::Ready(value, this.scope.judged(verdict)))
            }
        }
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
    fn enter(&mut self) -> Run<'_> {
        let start = counters::now();
        let ticket = thread::frames(|frames| {
            frames.resume(self.site, self.terms, &mut self.held, start.net_bytes())
        });
        Run {
            scope: self,
            ticket,
            start,
            is_last: false,
            _on_this_thread: PhantomData,
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

    fn judged(&self, verdict: Verdict) -> Result<(), LimitExceeded> {
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

/// One poll, or the drop; ends in every way that a poll can end.
struct Run<'a> {
    scope: &'a mut FutureScope,
    ticket: Ticket,
    start: Counts,
    /// The scope ends with it.
    is_last: bool,
    _on_this_thread: PhantomData<*const ()>,
}

impl Drop for Run<'_> {
    #[inline]
    fn drop(&mut self) {
        let now = counters::now();
        let held = &mut self.scope.held;
        let is_quiet =
            thread::frames(|frames| frames.suspend_quietly(self.ticket, held, now.net_bytes()));
        if !is_quiet {
            self.suspend_loudly(now);
        }
        if self.is_last {
            self.scope.held.end(self.scope.site);
        }
        thread::at_edge();
    }
}

impl Run<'_> {
    #[inline(never)]
    fn suspend_loudly(&mut self, now: Counts) {
        if self.ticket == Ticket::COVERED {
            return;
        }
        match thread::frames(|frames| frames.close(self.ticket, now.net_bytes())) {
            Some(held) => self.scope.held = held,
            None => self.carry_alone(now),
        }
        meter::start_if_unheard(self.scope.site.location());
    }

    /// It had no frame (nested too deep, or an outer scope ended first): judged by what the poll did, at its end.
    #[cold]
    fn carry_alone(&mut self, now: Counts) {
        let FutureScope {
            site, terms, held, ..
        } = &mut *self.scope;
        let gained_bytes = now.since(self.start).net_bytes();
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
}
