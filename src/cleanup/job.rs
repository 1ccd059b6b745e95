//! One cleanup under way: which hook is next, which one is late, what is still to be given back. Pure; the runner does what
//! it says.
//!
//! ```text
//! Begin -> Hook (one after the other, until the target is reached, each with a slice of the time) -> Purge -> done
//!            \- past its slice: TimedOut, the next runner goes on with the next hook
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::cleanup::call::Called;
use crate::cleanup::order::Order;
use crate::cleanup::registry::Entry;
use crate::cleanup::{CleanupOutcome, CleanupReport, CleanupRequest, HookOutcome, HookReport};
use crate::usage::Usage;

/// A hook gets this share of the whole deadline, so that one that hangs leaves time for the others.
const HOOK_SHARE: u32 = 4;
/// A hook is told this much less than it gets, in shares of it: one that works until its deadline returns just after it.
const GRACE_SHARE: u32 = 4;

pub(super) struct Job {
    pub(super) order: Order,
    pub(super) started: Instant,
    pub(super) before: Usage,
    /// After what was purged before the hooks.
    pub(super) at_hooks: Usage,
    pub(super) reports: Vec<HookReport>,
    /// Processor time that it took.
    pub(super) cost: Duration,
    pub(super) target_bytes: u64,
    /// What of the target is not measured to be back.
    remaining_bytes: u64,
    hooks: Vec<Arc<Entry>>,
    next: usize,
    current: Option<Call>,
    deadline: Instant,
    slice: Duration,
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
            at_hooks: before,
            reports: Vec::with_capacity(hooks.len()),
            cost: Duration::ZERO,
            target_bytes,
            remaining_bytes: target_bytes,
            hooks,
            next: 0,
            current: None,
            deadline: now + deadline,
            slice: deadline / HOOK_SHARE,
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
            let outcome = if self.remaining_bytes == 0 {
                HookOutcome::NotNeeded
            } else if now >= self.deadline || !may_call_hooks {
                HookOutcome::Skipped
            } else if !entry.begin_call() {
                HookOutcome::StillRunning
            } else {
                entry.tally.called();
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
                        target_bytes: self.remaining_bytes,
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

    /// The hook that was called has returned in time. What counts is what was measured, whatever it claims.
    pub(super) fn returned(&mut self, called: Called) {
        self.cost += called.cost;
        let measured = called.report.net_freed_bytes();
        let returned_bytes = measured.map(|net| u64::try_from(net).unwrap_or(0));
        if let Some(call) = self.current.take() {
            call.entry.tally.freed(returned_bytes);
            match (&called.report.outcome, returned_bytes) {
                (HookOutcome::Panicked(_), _) => {
                    call.entry.tally.panicked();
                    call.entry.learned.fail();
                }
                (_, Some(bytes)) => call.entry.learned.learn(bytes, called.duration),
                (_, None) => {}
            }
        }
        if self.target_bytes != u64::MAX {
            let returned_bytes = returned_bytes.unwrap_or(0);
            self.remaining_bytes = self.remaining_bytes.saturating_sub(returned_bytes);
        }
        self.reports.push(called.report);
    }

    /// Gives up the hook that is past its deadline, if there is one; whether it did. `cost` is what its call took so far.
    pub(super) fn give_up_late(&mut self, now: Instant, cost: impl FnOnce() -> Duration) -> bool {
        let Some(call) = self.current.take_if(|call| now >= call.deadline) else {
            return false;
        };
        self.cost += cost();
        call.entry.timeouts_total.fetch_add(1, Ordering::Relaxed);
        call.entry.learned.fail();
        self.reports.push(call.report(now));
        true
    }

    /// When the hook that is being called must have returned.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.current.as_ref().map(|call| call.deadline)
    }

    /// Whether there was something to ask hooks for, and a hook to ask.
    pub(super) fn has_hooks_to_ask(&self) -> bool {
        self.target_bytes > 0 && !self.hooks.is_empty()
    }

    /// What it was to give back, unless that is all there is.
    pub(super) fn finite_target_bytes(&self) -> Option<u64> {
        Some(self.target_bytes).filter(|&bytes| bytes != u64::MAX)
    }

    /// What a caller gets whose wait ends now.
    pub(super) fn partial_report(&self, now: Instant) -> CleanupReport {
        let reason = Some(self.order.reason);
        CleanupReport {
            target_bytes: self.finite_target_bytes(),
            hooks: self.partial_reports(now),
            duration_ms: now.saturating_duration_since(self.started).as_millis() as u64,
            cpu_us: self.cost.as_micros() as u64,
            ..CleanupReport::not_run(CleanupOutcome::TimedOut, reason, self.before)
        }
    }

    /// The reports as of now: those that are complete, the hook under way, and those that wait.
    fn partial_reports(&self, now: Instant) -> Vec<HookReport> {
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

#[cfg(test)]
mod tests;
