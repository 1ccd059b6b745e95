//! [`Frame`]: one open scope on one thread. Cells only; the stack calls it with the thread's net bytes.

use std::cell::Cell;
use std::sync::Arc;

use crate::scope::account::{Account, SoFar};
use crate::scope::stack::{Carried, Ticket, stops_work};
use crate::scope::{MemoryLimit, OnExceed, Site};

/// A scope tells its site what it holds when that has changed by so much: what others can see of it is that old.
pub(super) const PUBLISH_STEP_BYTES: i64 = 256 << 10;

/// What a scope is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limit_bytes: u64,
    pub(super) on_exceed: OnExceed,
    pub(super) wants_cleanup: bool,
}

impl Terms {
    /// Those of `limit`, which does `by_default` unless it was told what to do.
    #[inline]
    pub(super) fn of(limit: &MemoryLimit, by_default: OnExceed) -> Self {
        Terms {
            limit_bytes: limit.bytes,
            on_exceed: match limit.on_exceed {
                Some(on_exceed) => on_exceed,
                None => by_default,
            },
            wants_cleanup: limit.cleanup_on_exceed,
        }
    }

    #[inline]
    pub(super) fn are_exceeded_by(self, used_bytes: i64) -> bool {
        used_bytes > 0 && used_bytes as u64 > self.limit_bytes
    }

    /// The limit as a net: what is above it can't be held by one thread.
    #[inline]
    fn limit_as_net(self) -> i64 {
        i64::try_from(self.limit_bytes).unwrap_or(i64::MAX)
    }
}

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

#[derive(Clone, Copy)]
struct State {
    exceeded: bool,
    closed: bool,
    /// Has an account that other threads post to as well.
    shared: bool,
}

pub(super) struct Frame {
    pub(super) serial: Cell<u64>,
    pub(super) site: Cell<Option<&'static Site>>,
    pub(super) terms: Cell<Terms>,
    /// The thread's net at which this scope holds nothing.
    pub(super) base_bytes: Cell<i64>,
    /// The most it held, but for what the stack has seen since it was opened and not folded in yet.
    pub(super) peak_bytes: Cell<i64>,
    pub(super) entries: Cell<u32>,
    pub(super) outer: Cell<Outer>,
    state: Cell<State>,
    /// What its site was told that it holds.
    pub(super) published_bytes: Cell<i64>,
    /// What its account was told.
    posted_bytes: Cell<i64>,
    account: Cell<Option<Arc<Account>>>,
}

impl Frame {
    pub(super) const fn empty() -> Frame {
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
            outer: Cell::new(Outer {
                high_bytes: 0,
                trip_bytes: 0,
                floor_bytes: 0,
            }),
            state: Cell::new(State {
                exceeded: false,
                closed: true,
                shared: false,
            }),
            published_bytes: Cell::new(0),
            posted_bytes: Cell::new(0),
            account: Cell::new(None),
        }
    }

    /// Makes it a new scope, but for its peak.
    #[inline]
    pub(super) fn open(
        &self,
        serial: u64,
        site: &'static Site,
        terms: Terms,
        base_bytes: i64,
        outer: Outer,
    ) {
        let needs_clearing = self.state.get().shared || self.published_bytes.get() != 0;
        if needs_clearing {
            self.clear();
        }
        self.serial.set(serial);
        self.site.set(Some(site));
        self.terms.set(terms);
        self.base_bytes.set(base_bytes);
        self.entries.set(1);
        self.outer.set(outer);
        self.state.set(State {
            exceeded: false,
            closed: false,
            shared: false,
        });
    }

    /// Its guard was leaked, or outlives it, and its place is needed. Its account is not dropped here, where nothing may be freed.
    #[cold]
    fn clear(&self) {
        std::mem::forget(self.account.take());
        self.posted_bytes.set(0);
        self.tell(-self.published_bytes.get());
    }

    #[inline]
    pub(super) fn ticket(&self) -> Ticket {
        Ticket::of(self.serial.get())
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.state.get().closed
    }

    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.state.get().shared
    }

    /// Entered once, within its limit, and of this thread alone.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        let State {
            exceeded,
            closed,
            shared,
        } = self.state.get();
        !(exceeded | closed | shared) && self.entries.get() == 1
    }

    /// Past its limit, under terms that do more than warn.
    #[inline]
    pub(super) fn stops_work(&self) -> bool {
        self.state.get().exceeded && stops_work(self.terms.get().on_exceed)
    }

    #[inline]
    pub(super) fn can_be_joined(&self, site: &'static Site, terms: Terms) -> bool {
        self.site.get().is_some_and(|open| std::ptr::eq(open, site)) && self.terms.get() == terms
    }

    /// The net above which this frame wants to be settled: at its limit, and one step after what it last told.
    #[inline]
    pub(super) fn line_bytes(&self) -> i64 {
        let step_bytes = self.published_bytes.get() + PUBLISH_STEP_BYTES;
        let line_bytes = if self.state.get().exceeded {
            step_bytes
        } else {
            step_bytes.min(self.terms.get().limit_as_net())
        };
        self.base_bytes.get().saturating_add(line_bytes)
    }

    /// The net below which it has to tell that it holds less.
    pub(super) fn floor_bytes(&self) -> i64 {
        match self.published_bytes.get() {
            0 => i64::MIN,
            told => self
                .base_bytes
                .get()
                .saturating_add(told - PUBLISH_STEP_BYTES),
        }
    }

    /// Judges it, and tells site and account what has changed. `high_bytes` is the highest net since it was opened.
    pub(super) fn settle(&self, net_bytes: i64, high_bytes: i64) {
        let used_bytes = net_bytes.wrapping_sub(self.base_bytes.get());
        if self.is_shared() {
            self.post(used_bytes);
            return;
        }
        let peak_bytes = high_bytes.wrapping_sub(self.base_bytes.get());
        if peak_bytes > self.peak_bytes.get() {
            self.peak_bytes.set(peak_bytes);
        }
        self.publish(used_bytes);
        if !self.state.get().exceeded && self.terms.get().are_exceeded_by(self.peak_bytes.get()) {
            self.latch();
            if let Some(site) = self.site.get() {
                site.note_crossing(self.terms.get(), self.peak_bytes.get());
            }
        }
    }

    fn latch(&self) {
        let state = self.state.get();
        self.state.set(State {
            exceeded: true,
            ..state
        });
    }

    /// Its account is judged by what all threads hold.
    fn post(&self, used_bytes: i64) {
        let gained_bytes = used_bytes.wrapping_sub(self.posted_bytes.get());
        // Taken out and put back: a cell can't lend, and the account is alive in between.
        if let Some(account) = self.account.take() {
            self.posted_bytes.set(used_bytes);
            account.post(gained_bytes);
            if account.is_exceeded() {
                self.latch();
            }
            self.account.set(Some(account));
        }
    }

    /// Tells the site what this scope holds, if that has changed by a step.
    fn publish(&self, used_bytes: i64) {
        let held_bytes = used_bytes.max(0);
        let gained_bytes = held_bytes - self.published_bytes.get();
        if gained_bytes.abs() >= PUBLISH_STEP_BYTES {
            self.tell(gained_bytes);
        }
    }

    fn tell(&self, gained_bytes: i64) {
        if let Some(site) = self.site.get() {
            site.add_current(gained_bytes);
            self.published_bytes
                .set(self.published_bytes.get() + gained_bytes);
        }
    }

    /// What is known of it, settled at `net_bytes`.
    pub(super) fn verdict(&self, net_bytes: i64) -> Verdict {
        let own_bytes = net_bytes.wrapping_sub(self.base_bytes.get());
        let (used_bytes, peak_bytes) = match self.account.take() {
            Some(account) => {
                let all = (account.used_bytes(), account.peak_bytes());
                self.account.set(Some(account));
                all
            }
            None => (own_bytes, self.peak_bytes.get()),
        };
        Verdict {
            used_bytes,
            peak_bytes,
            exceeded: self.state.get().exceeded,
        }
    }

    pub(super) fn is_of(&self, account: &Arc<Account>) -> bool {
        let own = self.account.take();
        let is_it = own.as_ref().is_some_and(|own| Arc::ptr_eq(own, account));
        self.account.set(own);
        is_it
    }

    /// From now on it posts what it gains to `account`.
    pub(super) fn share(&self, account: Arc<Account>) {
        if account.is_exceeded() {
            self.latch();
        }
        self.account.set(Some(account));
        let state = self.state.get();
        self.state.set(State {
            shared: true,
            ..state
        });
    }

    /// Its account, made below `parent` if it has none yet.
    pub(super) fn account_below(&self, parent: Option<Arc<Account>>) -> Option<Arc<Account>> {
        if let Some(account) = self.account.take() {
            self.account.set(Some(Arc::clone(&account)));
            return Some(account);
        }
        // Allocates, which may be an event: nothing of this frame is half done at this moment.
        let account = Arc::new(Account::new(
            self.site.get()?,
            self.terms.get(),
            parent,
            SoFar {
                peak_bytes: self.peak_bytes.get(),
                exceeded: self.state.get().exceeded,
                published_bytes: self.published_bytes.get(),
            },
        ));
        // From here on the account tells the site.
        self.published_bytes.set(0);
        self.share(Arc::clone(&account));
        Some(account)
    }

    /// Takes over what a future held between polls. Whether its line is not simply its limit.
    #[inline]
    pub(super) fn carry_in(&self, carried: &mut Carried) -> bool {
        self.peak_bytes.set(carried.peak_bytes);
        self.published_bytes.set(carried.published_bytes);
        if carried.exceeded {
            self.latch();
        }
        if let Some(account) = carried.account.take() {
            self.posted_bytes.set(carried.posted_bytes);
            self.share(account);
        }
        let state = self.state.get();
        state.exceeded | state.shared
    }

    /// Closes it; what it knows goes to whoever ends or suspends it.
    pub(super) fn carry_out(&self, verdict: Verdict) -> Carried {
        let state = self.state.get();
        self.state.set(State {
            closed: true,
            shared: false,
            ..state
        });
        let posted_bytes = self.posted_bytes.take();
        Carried {
            used_bytes: if state.shared {
                posted_bytes
            } else {
                verdict.used_bytes
            },
            peak_bytes: verdict.peak_bytes,
            published_bytes: self.published_bytes.take(),
            posted_bytes,
            exceeded: state.exceeded,
            account: self.account.take(),
        }
    }
}
