//! [`Frame`]: one open scope on one thread. Cells only; the stack calls it with the thread's net bytes.

mod marks;

use std::cell::Cell;
use std::sync::Arc;

use crate::scope::account::{Account, SoFar};
use crate::scope::stack::{Carried, Ticket};
use crate::scope::terms::Terms;
use crate::scope::{OnExceed, Site};
use marks::Marks;

/// A scope tells its site what it holds when that has changed by so much: what others can see of it is that old.
pub(super) const PUBLISH_STEP_BYTES: i64 = 256 << 10;

/// What is known of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) used_bytes: i64,
    pub(super) peak_bytes: i64,
    pub(super) exceeded: bool,
}

/// What the stack knew before a frame was opened, and knows again when it is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    pub(super) high_bytes: i64,
    pub(super) trip_bytes: i64,
    pub(super) floor_bytes: i64,
}

/// Two cache lines, so that finding one is a shift.
#[repr(align(64))]
pub(super) struct Frame {
    pub(super) serial: Cell<u64>,
    pub(super) site: Cell<Option<&'static Site>>,
    pub(super) terms: Cell<Terms>,
    /// The thread's net at which this scope holds nothing.
    pub(super) base_bytes: Cell<i64>,
    /// The most it held, but for what the stack has seen since it was opened and not folded in yet.
    pub(super) peak_bytes: Cell<i64>,
    pub(super) outer: Cell<Outer>,
    marks: Cell<Marks>,
    /// What its site was told that it holds; 0 unless marked.
    published_bytes: Cell<i64>,
    /// What its account was told.
    posted_bytes: Cell<i64>,
    account: Cell<Option<Arc<Account>>>,
}

impl Frame {
    pub(super) const fn empty() -> Frame {
        Frame {
            serial: Cell::new(0),
            site: Cell::new(None),
            terms: Cell::new(Terms::new(0, OnExceed::Warn, false)),
            base_bytes: Cell::new(0),
            peak_bytes: Cell::new(0),
            outer: Cell::new(Outer {
                high_bytes: 0,
                trip_bytes: 0,
                floor_bytes: 0,
            }),
            marks: Cell::new(Marks::NO_ENTRY),
            published_bytes: Cell::new(0),
            posted_bytes: Cell::new(0),
            account: Cell::new(None),
        }
    }

    /// Its peak, when the highest net since it was opened is `high_bytes`.
    #[inline]
    pub(super) fn peak_at(&self, high_bytes: i64) -> i64 {
        let since_bytes = high_bytes.wrapping_sub(self.base_bytes.get());
        self.peak_bytes.get().max(since_bytes)
    }

    /// Makes it a new scope, but for what is around it. An account that a leaked guard left here stays until another takes its place.
    #[inline]
    pub(super) fn open(&self, serial: u64, site: &'static Site, terms: Terms, base_bytes: i64) {
        self.serial.set(serial);
        self.site.set(Some(site));
        self.terms.set(terms);
        self.base_bytes.set(base_bytes);
        self.peak_bytes.set(0);
        self.marks.set(Marks::PLAIN);
    }

    #[inline]
    fn has(&self, mark: u64) -> bool {
        self.marks.get().has(mark)
    }

    #[inline]
    fn mark(&self, mark: u64) {
        self.marks.set(self.marks.get().with(mark));
    }

    #[inline]
    fn unmark(&self, mark: u64) {
        self.marks.set(self.marks.get().without(mark));
    }

    #[inline]
    pub(super) fn ticket(&self) -> Ticket {
        Ticket::of(self.serial.get())
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.has(Marks::CLOSED)
    }

    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.has(Marks::SHARED)
    }

    /// Entered once, within its limit, of this thread alone, told of nothing, and nothing waits below it: leaving is popping.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.marks.get() == Marks::PLAIN
    }

    /// As plain as that, but for what its site was told.
    #[inline]
    pub(super) fn is_plain_or_told(&self) -> bool {
        self.marks.get().without(Marks::TOLD) == Marks::PLAIN
    }

    /// The frame below it was closed.
    pub(super) fn stands_above_closed(&self) {
        self.mark(Marks::ABOVE_CLOSED);
    }

    /// Past its limit, under terms that do more than warn.
    pub(super) fn stops_work(&self) -> bool {
        self.has(Marks::EXCEEDED) && self.terms.get().stop_work()
    }

    /// One more entry: recursion.
    pub(super) fn enter_again(&self) {
        let marks = self.marks.get();
        if marks.0 & Marks::ENTRIES < Marks::ENTRIES {
            self.marks.set(Marks(marks.0 + 1));
        }
    }

    /// Gives up an entry; whether it was the last.
    pub(super) fn give_up_entry(&self) -> bool {
        let marks = self.marks.get();
        if marks.0 & Marks::ENTRIES > 0 {
            self.marks.set(Marks(marks.0 - 1));
        }
        marks.0 & Marks::ENTRIES <= 1
    }

    #[inline]
    pub(super) fn can_be_joined(&self, site: &'static Site, terms: Terms) -> bool {
        self.site.get().is_some_and(|open| std::ptr::eq(open, site)) && self.terms.get() == terms
    }

    /// The net above which this frame wants to be settled: at its limit, and one step after what it last told.
    pub(super) fn line_bytes(&self) -> i64 {
        let step_bytes = self.published_bytes() + PUBLISH_STEP_BYTES;
        let line_bytes = if self.has(Marks::EXCEEDED) {
            step_bytes
        } else {
            i64::try_from(self.terms.get().limit_bytes)
                .map_or(step_bytes, |limit| limit.min(step_bytes))
        };
        self.base_bytes.get().saturating_add(line_bytes)
    }

    /// The net below which it has to tell that it holds less.
    pub(super) fn floor_bytes(&self) -> i64 {
        match self.published_bytes() {
            told if told < PUBLISH_STEP_BYTES => i64::MIN,
            told => self
                .base_bytes
                .get()
                .saturating_add(told - PUBLISH_STEP_BYTES),
        }
    }

    #[inline]
    pub(super) fn published_bytes(&self) -> i64 {
        if self.has(Marks::TOLD) {
            self.published_bytes.get()
        } else {
            0
        }
    }

    fn set_published(&self, bytes: i64) {
        self.published_bytes.set(bytes);
        if bytes == 0 {
            self.unmark(Marks::TOLD);
        } else {
            self.mark(Marks::TOLD);
        }
    }

    /// Judges it, and tells site and account what has changed. `high_bytes` is the highest net since it was opened.
    pub(super) fn settle(&self, net_bytes: i64, high_bytes: i64) {
        self.judge(net_bytes, high_bytes);
        if !self.is_shared() {
            self.publish(net_bytes.wrapping_sub(self.base_bytes.get()));
        }
    }

    /// As [`settle`](Self::settle), but its site is told nothing.
    pub(super) fn judge(&self, net_bytes: i64, high_bytes: i64) {
        if self.is_shared() {
            self.post(net_bytes.wrapping_sub(self.base_bytes.get()));
            return;
        }
        let peak_bytes = high_bytes.wrapping_sub(self.base_bytes.get());
        if peak_bytes > self.peak_bytes.get() {
            self.peak_bytes.set(peak_bytes);
        }
        let terms = self.terms.get();
        if !self.has(Marks::EXCEEDED) && terms.are_exceeded_by(self.peak_bytes.get()) {
            self.mark(Marks::EXCEEDED);
            if let Some(site) = self.site.get() {
                site.note_crossing(terms, self.peak_bytes.get());
            }
        }
    }

    /// Its account is judged by what all threads hold.
    fn post(&self, used_bytes: i64) {
        let gained_bytes = used_bytes.wrapping_sub(self.posted_bytes.get());
        // Taken out and put back: a cell can't lend, and the account is alive in between.
        if let Some(account) = self.account.take() {
            self.posted_bytes.set(used_bytes);
            account.post(gained_bytes);
            if account.is_exceeded() {
                self.mark(Marks::EXCEEDED);
            }
            self.account.set(Some(account));
        }
    }

    /// Tells the site what this scope holds, if that has changed by a step.
    fn publish(&self, used_bytes: i64) {
        let told_bytes = self.published_bytes();
        let held_bytes = used_bytes.max(0);
        if (held_bytes - told_bytes).abs() >= PUBLISH_STEP_BYTES {
            self.tell(held_bytes);
        }
    }

    fn tell(&self, held_bytes: i64) {
        if let Some(site) = self.site.get() {
            site.add_current(held_bytes - self.published_bytes());
            self.set_published(held_bytes);
        }
    }

    /// A guard that was leaked, or outlives the lowest scope: its site is told nothing more.
    pub(super) fn fall_silent(&self) {
        if self.is_closed() {
            return;
        }
        match self.account() {
            Some(_) if self.has(Marks::ATTACHED) => {}
            Some(account) => account.end(),
            None => self.tell(0),
        }
    }

    /// Its account, if it has one.
    pub(super) fn account(&self) -> Option<Arc<Account>> {
        if !self.is_shared() {
            return None;
        }
        let account = self.account.take();
        self.account.set(account.clone());
        account
    }

    /// What is known of it, settled at `net_bytes`.
    pub(super) fn verdict(&self, net_bytes: i64) -> Verdict {
        let (used_bytes, peak_bytes) = match self.account() {
            Some(account) => (account.used_bytes(), account.peak_bytes()),
            None => (
                net_bytes.wrapping_sub(self.base_bytes.get()),
                self.peak_bytes.get(),
            ),
        };
        Verdict {
            used_bytes,
            peak_bytes,
            exceeded: self.has(Marks::EXCEEDED),
        }
    }

    pub(super) fn is_of(&self, account: &Arc<Account>) -> bool {
        if !self.is_shared() {
            return false;
        }
        let own = self.account.take();
        let is_it = own.as_ref().is_some_and(|own| Arc::ptr_eq(own, account));
        self.account.set(own);
        is_it
    }

    /// It works for another thread's scope.
    pub(super) fn attach(&self, account: Arc<Account>) {
        self.share(account, 0);
        self.mark(Marks::ATTACHED);
    }

    /// From now on it posts what it gains to `account`, which knows `posted_bytes` of it.
    pub(super) fn share(&self, account: Arc<Account>, posted_bytes: i64) {
        if account.is_exceeded() {
            self.mark(Marks::EXCEEDED);
        }
        self.posted_bytes.set(posted_bytes);
        // What was in its place belonged to a guard that was leaked and whose frame this one took.
        self.account.set(Some(account));
        self.mark(Marks::SHARED);
    }

    /// Its account, made within those `around` it if it has none yet.
    pub(super) fn account_within(&self, around: &[Arc<Account>]) -> Option<Arc<Account>> {
        if let Some(account) = self.account() {
            return Some(account);
        }
        let site = self.site.get()?;
        // Allocates, which may be an event: nothing of this frame is half done at this moment.
        let mut account = Arc::new(Account::new(site, self.terms.get(), around));
        // Not so from here on: it is handed over in one go.
        if let Some(account) = Arc::get_mut(&mut account) {
            account.take_over(SoFar {
                peak_bytes: self.peak_bytes.get(),
                exceeded: self.has(Marks::EXCEEDED),
                published_bytes: self.published_bytes(),
            });
        }
        self.set_published(0);
        self.share(Arc::clone(&account), 0);
        Some(account)
    }

    /// Takes over what a future held between polls. Whether its line is more than its limit and what it told.
    #[inline]
    pub(super) fn carry_in(&self, carried: &mut Carried) -> bool {
        self.peak_bytes.set(carried.peak_bytes);
        if carried.published_bytes != 0 {
            // The frame's to take back from now on, should the future find it gone.
            self.set_published(std::mem::take(&mut carried.published_bytes));
        }
        let is_special = carried.exceeded || carried.account.is_some();
        if is_special {
            self.carry_in_closely(carried);
        }
        is_special
    }

    #[inline(never)]
    fn carry_in_closely(&self, carried: &mut Carried) {
        if carried.exceeded {
            self.mark(Marks::EXCEEDED);
        }
        if let Some(account) = carried.account.take() {
            self.share(account, carried.posted_bytes);
        }
    }

    /// Closes it; what it knows goes to whoever ends or suspends it.
    pub(super) fn carry_out(&self, verdict: Verdict) -> Carried {
        let is_shared = self.is_shared();
        let account = if is_shared { self.account.take() } else { None };
        let carried = Carried {
            used_bytes: if is_shared {
                self.posted_bytes.get()
            } else {
                verdict.used_bytes
            },
            peak_bytes: verdict.peak_bytes,
            published_bytes: self.published_bytes(),
            posted_bytes: self.posted_bytes.get(),
            exceeded: verdict.exceeded,
            account,
        };
        self.unmark(Marks::SHARED | Marks::TOLD);
        self.mark(Marks::CLOSED);
        carried
    }
}
