//! [`Account`]: what several threads hold for one scope.

use std::sync::Arc;

use crate::meter::Tab;
use crate::scope::Site;
use crate::scope::frame::PUBLISH_STEP_BYTES;
use crate::scope::terms::Terms;
use crate::sys::atomic::{AtomicBool, AtomicI64, OnceLock, Ordering};

/// The sum of what the threads of one scope hold. Each posts what it gained since its last posting, at its events and edges, so
/// the sum lags by at most an interval per thread.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) site: &'static Site,
    pub(super) terms: Terms,
    /// The scopes around it when it was shared, the outermost first: whoever works for this scope works for those too.
    pub(super) around: Box<[Arc<Account>]>,
    used_bytes: AtomicI64,
    peak_bytes: AtomicI64,
    exceeded: AtomicBool,
    /// What the site was told that this scope holds, or [`ENDED`].
    published_bytes: AtomicI64,
    /// The reservation that this scope spends.
    tab: OnceLock<Arc<Tab>>,
}

/// The scope is over: its site is told nothing more.
const ENDED: i64 = i64::MIN;

/// What a scope did before it was shared.
#[derive(Clone, Copy)]
pub(super) struct SoFar {
    pub(super) peak_bytes: i64,
    pub(super) exceeded: bool,
    pub(super) published_bytes: i64,
}

impl Account {
    pub(super) fn new(site: &'static Site, terms: Terms, around: &[Arc<Account>]) -> Self {
        Account {
            site,
            terms,
            around: around.into(),
            used_bytes: AtomicI64::new(0),
            peak_bytes: AtomicI64::new(0),
            exceeded: AtomicBool::new(false),
            published_bytes: AtomicI64::new(0),
            tab: OnceLock::new(),
        }
    }

    /// For a scope that did `so_far` before it was shared; what it holds its frame posts.
    pub(super) fn take_over(&mut self, so_far: SoFar) {
        self.peak_bytes = AtomicI64::new(so_far.peak_bytes);
        self.exceeded = AtomicBool::new(so_far.exceeded);
        self.published_bytes = AtomicI64::new(so_far.published_bytes);
    }

    /// Adds what a thread gained, and returns what all hold. Atomics only: runs inside the allocator.
    #[inline]
    pub(super) fn post(&self, gained_bytes: i64) -> i64 {
        if gained_bytes == 0 {
            return self.used_bytes();
        }
        if let Some(tab) = self.tab.get() {
            tab.fill(gained_bytes);
        }
        let used_bytes = self
            .used_bytes
            .fetch_add(gained_bytes, Ordering::Relaxed)
            .wrapping_add(gained_bytes);
        if gained_bytes > 0 {
            self.peak_bytes.fetch_max(used_bytes, Ordering::Relaxed);
            if self.terms.are_exceeded_by(used_bytes)
                && !self.exceeded.swap(true, Ordering::Relaxed)
            {
                self.site.note_crossing(self.terms, used_bytes);
            }
        }
        self.publish();
        used_bytes
    }

    /// Tells the site what the scope holds, if that has changed by a step.
    ///
    /// Several may tell at once, each with a sum that is out of date. The last to write what was told has seen the postings of all
    /// who wrote before it, and looks once more after writing: so what stays is right to a step.
    fn publish(&self) {
        // Read by a write, even when it stays the same: that is what the others' postings are ordered by.
        let mut told_bytes = self.published_bytes.fetch_add(0, Ordering::AcqRel);
        loop {
            let held_bytes = self.used_bytes().max(0);
            if told_bytes == ENDED || (held_bytes - told_bytes).abs() < PUBLISH_STEP_BYTES {
                return;
            }
            match self.published_bytes.compare_exchange(
                told_bytes,
                held_bytes,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    self.site.add_current(held_bytes - told_bytes);
                    told_bytes = held_bytes;
                }
                Err(now) => told_bytes = now,
            }
        }
    }

    /// From now on what is posted fills `tab`. `false` when the scope fills one already.
    pub(super) fn spend(&self, tab: Arc<Tab>) -> bool {
        self.tab.set(tab).is_ok()
    }

    /// The scope has ended: its site is told that it holds nothing. Threads that still work for it post on, unpublished.
    pub(super) fn end(&self) {
        let told_bytes = self.published_bytes.swap(ENDED, Ordering::Relaxed);
        if told_bytes != ENDED {
            self.site.add_current(-told_bytes);
        }
    }

    /// Whether the scope has ended, or its guard outlived the lowest scope of its thread.
    pub(super) fn is_over(&self) -> bool {
        self.published_bytes.load(Ordering::Relaxed) == ENDED
    }

    pub(super) fn used_bytes(&self) -> i64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn peak_bytes(&self) -> i64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }
}

/// Of a scope that had no end: its guard was leaked, or had no frame when the account was made.
impl Drop for Account {
    fn drop(&mut self) {
        self.end();
    }
}
