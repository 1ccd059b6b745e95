//! Scopes that several threads work for: frames that post to an account.

use std::sync::Arc;

use super::{FrameStack, Ticket};
use crate::scope::account::Account;

impl FrameStack {
    /// Opens a frame for work that this thread does for another's scope. [`Ticket::COVERED`] when that is open here anyway.
    pub(in crate::scope) fn attach(&self, account: &Arc<Account>, net_bytes: i64) -> Ticket {
        if self.posts_to(account) {
            return Ticket::COVERED;
        }
        let Some(frame) = self.push(account.site, account.terms, net_bytes) else {
            return Ticket::NONE;
        };
        frame.attach(Arc::clone(account));
        self.find_lines();
        frame.ticket()
    }

    /// Whether a frame of this thread posts to `account` anyway, also one whose guard outlived the lowest scope.
    pub(in crate::scope) fn posts_to(&self, account: &Arc<Account>) -> bool {
        let frames = if self.has_orphans.get() {
            &self.frames
        } else {
            self.open()
        };
        frames
            .iter()
            .any(|frame| !frame.is_closed() && frame.is_of(account))
    }

    /// Has frames whose guards outlived the lowest scope post what this thread gained: nothing else asks them to.
    pub(in crate::scope) fn settle_orphans(&self, net_bytes: i64) {
        if self.has_orphans.get() {
            let beyond = &self.frames[self.open().len()..];
            for orphan in beyond.iter().filter(|frame| !frame.is_closed()) {
                orphan.judge(net_bytes, net_bytes);
            }
        }
    }

    /// The ticket's frame and every one around it made ready to be shared with other threads: the account of its own.
    pub(in crate::scope) fn share(&self, ticket: Ticket, net_bytes: i64) -> Option<Arc<Account>> {
        let position = self.find(ticket)?;
        self.share_up_to(position, net_bytes)
    }

    /// As [`share`](Self::share), for the innermost open frame.
    pub(in crate::scope) fn share_innermost(&self, net_bytes: i64) -> Option<Arc<Account>> {
        let position = self.open().iter().rposition(|frame| !frame.is_closed())?;
        self.share_up_to(position, net_bytes)
    }

    fn share_up_to(&self, position: usize, net_bytes: i64) -> Option<Arc<Account>> {
        // Peaks and verdicts so far go into the accounts.
        self.settle(net_bytes);
        if let Some(account) = self.frames[position].account() {
            return Some(account);
        }
        let mut around: Vec<Arc<Account>> = Vec::new();
        let mut innermost = None;
        for frame in self.frames[..=position]
            .iter()
            .filter(|frame| !frame.is_closed())
        {
            around.extend(
                innermost
                    .take()
                    .filter(|outer: &Arc<Account>| !outer.is_over()),
            );
            innermost = frame.account_within(&around);
        }
        // What each held so far is posted now; allocating an account above may have been an event of its own.
        self.settle(net_bytes);
        innermost
    }
}
