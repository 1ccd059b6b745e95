//! [`Carried`]: a scope without its frame.

use std::sync::Arc;

use super::positive;
use crate::scope::Site;
use crate::scope::account::Account;
use crate::scope::frame::Verdict;

/// What a scope takes along when its frame is gone: a future between two polls, or whoever reports.
#[derive(Debug, Default)]
pub(in crate::scope) struct Carried {
    pub(in crate::scope) used_bytes: i64,
    pub(in crate::scope) peak_bytes: i64,
    /// What its site was told that it holds.
    pub(in crate::scope) published_bytes: i64,
    /// What its account was told.
    pub(in crate::scope) posted_bytes: i64,
    pub(in crate::scope) exceeded: bool,
    pub(in crate::scope) account: Option<Arc<Account>>,
}

impl Carried {
    /// The scope has ended: its site holds nothing more for it, and keeps its peak.
    pub(in crate::scope) fn end(&self, site: &'static Site) {
        self.fall_silent(site);
        site.count(positive(self.verdict().peak_bytes));
    }

    /// The same for one that was never entered.
    pub(in crate::scope) fn fall_silent(&self, site: &'static Site) {
        match &self.account {
            Some(account) => account.end(),
            None => site.add_current(-self.published_bytes),
        }
    }

    /// What the scope holds, and held: with an account, by all its threads.
    pub(in crate::scope) fn verdict(&self) -> Verdict {
        match &self.account {
            Some(account) => Verdict {
                used_bytes: account.used_bytes(),
                peak_bytes: account.peak_bytes(),
                exceeded: account.is_exceeded(),
            },
            None => Verdict {
                used_bytes: self.used_bytes,
                peak_bytes: self.peak_bytes,
                exceeded: self.exceeded,
            },
        }
    }
}
