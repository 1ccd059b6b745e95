//! One cleanup under way: which hook is next, which one is late. Pure; the runner does what it says.
//!
//! ```text
//! Begin -> Hook (one after the other, each with a slice of the time) -> Purge -> done
//!            \- past its slice: TimedOut, the next runner goes on with the next hook
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::cleanup::registry::Entry;
use crate::cleanup::runner::Order;
use crate::cleanup::{CleanupRequest, HookOutcome, HookReport};
use crate::usage::Usage;

/// A hook gets this share of the whole deadline, so that one that hangs leaves time for the others.
const HOOK_SHARE: u32 = 4;
/// A hook is told this much less than it gets, in shares of it: one that works until its deadline returns just after it.
const GRACE_SHARE: u32 = 4;

pub(super) struct Job {
    pub(super) order: Order,
    pub(super) started: Instant,
    pub(super) before: Usage,
    pub(super) reports: Vec<HookReport>,
    hooks: Vec<Arc<Entry>>,
    next: usize,
    current: Option<Call>,
    deadline: Instant,
    slice: Duration,
    target_bytes: u64,
}

/// A hook that is being called.
struct Call {
    entry: Arc<Entry>,
    started: Instant,
    deadline: Instant,
}

/// What the runner does next.
pub(super) enum Step {
    Hook(Arc<Entry>, CleanupRequest),
    Purge,
}

impl Job {
    pub(super) fn new(
        order: Order,
        before: Usage,
        target_bytes: u64,
        hooks: Vec<Arc<Entry>>,
        now: Instant,
        deadline: Duration,
    ) -> Self {
        Job {
            order,
            started: now,
            before,
            reports: Vec::with_capacity(hooks.len()),
            hooks,
            next: 0,
            current: None,
            deadline: now + deadline,
            slice: deadline / HOOK_SHARE,
            target_bytes,
        }
    }

    /// Takes the next hook that can be called; hooks that can't are reported as such.
    pub(super) fn next_step(&mut self, now: Instant, may_call_hooks: bool) -> Step {
        while let Some(entry) = self.hooks.get(self.next) {
            let entry = Arc::clone(entry);
            self.next += 1;
            if !entry.is_registered() {
                continue;
            }
            let outcome = if now >= self.deadline || !may_call_hooks {
                HookOutcome::Skipped
            } else if !entry.begin_call() {
                HookOutcome::StillRunning
            } else {
                let deadline = (now + self.slice).min(self.deadline);
                self.current = Some(Call {
                    entry: Arc::clone(&entry),
                    started: now,
                    deadline,
                });
                return Step::Hook(
                    entry,
                    CleanupRequest {
                        reason: self.order.reason,
                        target_bytes: self.target_bytes,
                        deadline: deadline - self.slice / GRACE_SHARE,
                    },
                );
            };
            self.reports.push(HookReport::without_result(
                &entry.name,
                outcome,
                Duration::ZERO,
            ));
        }
        Step::Purge
    }

    /// The hook that was called has returned in time.
    pub(super) fn returned(&mut self, report: HookReport) {
        self.current = None;
        self.reports.push(report);
    }

    /// Gives up the hook that is past its deadline, if there is one; whether it did.
    pub(super) fn give_up_late(&mut self, now: Instant) -> bool {
        let Some(call) = self.current.take_if(|call| now >= call.deadline) else {
            return false;
        };
        call.entry.timeouts_total.fetch_add(1, Ordering::Relaxed);
        self.reports.push(call.report(now));
        true
    }

    /// When the hook that is being called must have returned.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.current.as_ref().map(|call| call.deadline)
    }

    /// The reports as of now: those that are complete, the hook under way, and those that wait.
    pub(super) fn partial_reports(&self, now: Instant) -> Vec<HookReport> {
        let under_way = self.current.iter().map(|call| call.report(now));
        let waiting = self.hooks[self.next..].iter().map(|entry| {
            HookReport::without_result(&entry.name, HookOutcome::Waiting, Duration::ZERO)
        });
        self.reports
            .iter()
            .cloned()
            .chain(under_way)
            .chain(waiting)
            .collect()
    }
}

impl Call {
    /// Of a call that has not returned.
    fn report(&self, now: Instant) -> HookReport {
        let outcome = if now >= self.deadline {
            HookOutcome::TimedOut
        } else {
            HookOutcome::UnderWay
        };
        let duration = now.saturating_duration_since(self.started);
        HookReport::without_result(&self.entry.name, outcome, duration)
    }
}
