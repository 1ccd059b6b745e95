//! The runner: the one thread that calls hooks and purges, and is replaced when a hook does not come back.
//!
//! One cleanup runs at a time and one more can wait; whoever asks while one waits shares it. So everybody gets the report of
//! a cleanup that began after the call, and no number of callers can queue up more than two.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cleanup::job::{Job, Step};
use crate::cleanup::registry::Entry;
use crate::cleanup::{
    CleanupOutcome, CleanupReason, CleanupReport, CleanupRequest, HookOutcome, HookReport, Registry,
};
use crate::meter;
use crate::sys::counters;
use crate::sys::fork;
use crate::sys::jemalloc;
use crate::sys::lock::{Condvar, Mutex};
use crate::usage::Usage;

/// Runners that may be stuck in hooks at the same time. After that hooks are skipped until one of them returns, and the
/// last runner only purges.
const MAX_STUCK_RUNNERS: usize = 4;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

/// Which runner a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Current {
    runner: *const Runner,
    incarnation: u64,
    /// The child of a fork inside a hook is no runner.
    generation: u64,
}

/// What the runner needs from above.
pub(crate) trait Host: Send + Sync {
    /// Fresh figures, slow facts included.
    fn measure(&self) -> Usage;
    /// Bytes to ask hooks for.
    fn target_bytes(&self, reason: CleanupReason, usage: &Usage) -> u64;
    /// A hook has been called: somebody must look when its time is up.
    fn supervise(&self);
    /// A cleanup is done: note it.
    fn cleaned(&self, report: &Arc<CleanupReport>);
    /// Tell whoever listens. May run other people's code (a subscriber), and panic.
    fn tell(&self, report: &CleanupReport);
}

/// A cleanup to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) reason: CleanupReason,
    pub(crate) call_hooks: bool,
}

impl Order {
    /// One cleanup that answers both.
    fn merge(self, other: Order) -> Order {
        Order {
            reason: self.reason.max(other.reason),
            call_hooks: self.call_hooks || other.call_hooks,
        }
    }
}

/// A cleanup that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

pub(crate) struct Runner {
    host: Weak<dyn Host>,
    registry: Arc<Registry>,
    deadline: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Option<Order>,
    /// The job under way; `None` inside while usage is measured before it.
    running: Option<Option<Job>>,
    begun_total: u64,
    last: Option<Arc<CleanupReport>>,
    done_total: u64,
    /// Which runner's word counts; earlier ones are stuck in a hook and leave when it returns.
    incarnation: u64,
    thread: Option<JoinHandle<()>>,
    stuck: usize,
    stop: bool,
}

impl Runner {
    pub(crate) fn new(
        host: Weak<dyn Host>,
        registry: Arc<Registry>,
        deadline: Duration,
    ) -> Arc<Self> {
        Arc::new(Runner {
            host,
            registry,
            deadline,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        })
    }

    /// Whether the caller is a hook that this runner called, and has not given up since.
    pub(crate) fn is_inside_hook(&self) -> bool {
        let current = CURRENT.get();
        current.is_some() && current == Some(self.as_current(self.state.lock().incarnation))
    }

    fn as_current(&self, incarnation: u64) -> Current {
        Current {
            runner: self,
            incarnation,
            generation: fork::generation(),
        }
    }

    /// Asks for a cleanup; starts the thread if there is none. `None` when it can't be started.
    pub(crate) fn submit(self: &Arc<Self>, order: Order) -> Option<Ticket> {
        let mut state = self.state.lock();
        self.ensure_thread(&mut state)?;
        state.waiting = Some(state.waiting.map_or(order, |waiting| waiting.merge(order)));
        let ticket = Ticket(state.begun_total + 1);
        self.changed.notify_all();
        Some(ticket)
    }

    /// Whether a cleanup is under way or waiting.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.state.lock();
        state.running.is_some() || state.waiting.is_some()
    }

    /// Waits until the cleanup is done, but not past the deadline; then the report is what is known by then.
    pub(crate) fn wait(
        &self,
        ticket: Ticket,
        reason: CleanupReason,
        usage: impl FnOnce() -> Usage,
    ) -> Arc<CleanupReport> {
        let give_up = Instant::now() + self.deadline;
        let mut state = self.state.lock();
        loop {
            if state.done_total >= ticket.0
                && let Some(report) = &state.last
            {
                return Arc::clone(report);
            }
            match self.changed.wait_until(state, give_up) {
                Some(held) => state = held,
                None => break,
            }
        }
        let state = self.state.lock();
        let now = Instant::now();
        let partial = match &state.running {
            Some(Some(job)) if state.begun_total == ticket.0 => Some((
                job.order.reason,
                job.before,
                job.partial_reports(now),
                now - job.started,
            )),
            _ => None,
        };
        drop(state);
        Arc::new(timed_out(reason, partial, usage()))
    }

    /// Looks whether the hook under way is late; if so it is left behind with its thread, and a new runner goes on. Returns
    /// when to look again.
    pub(crate) fn supervise(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let Some(Some(job)) = &mut state.running else {
            return None;
        };
        if job.give_up_late(now) {
            state.incarnation += 1;
            state.stuck += 1;
            // Detached: it leaves on its own when its hook returns.
            state.thread = None;
            // Without a thread the job waits for the next call that can start one.
            let _ = self.ensure_thread(&mut state);
        }
        match &state.running {
            Some(Some(job)) => job.next_deadline(),
            _ => None,
        }
    }

    /// Ends the thread: joined when idle, left to itself when it is in the middle of something.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stop = true;
        state.waiting = None;
        let idle = state.running.is_none();
        let thread = state.thread.take();
        self.changed.notify_all();
        drop(state);
        let is_this_thread =
            |thread: &JoinHandle<()>| thread.thread().id() == std::thread::current().id();
        if let Some(thread) = thread.filter(|thread| idle && !is_this_thread(thread)) {
            let _ = thread.join();
        }
    }

    fn ensure_thread(self: &Arc<Self>, state: &mut State) -> Option<()> {
        // A thread that has ended without being told to died of a panic that nothing caught.
        if state.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            if state.running.as_ref().is_some_and(Option::is_none) {
                state.running = None;
            }
            let runner = Arc::clone(self);
            let incarnation = state.incarnation;
            let thread = std::thread::Builder::new()
                .name("plimsoll-runner".to_owned())
                .spawn(move || {
                    meter::exempt_this_thread();
                    CURRENT.set(Some(runner.as_current(incarnation)));
                    runner.run(incarnation);
                });
            state.thread = Some(thread.ok()?);
        }
        Some(())
    }

    /// The thread: one piece of work after the other, until stopped or given up.
    fn run(&self, incarnation: u64) {
        while let Some(work) = self.next_work() {
            let Some(host) = self.host.upgrade() else {
                return;
            };
            match work {
                Work::Begin(order) => self.begin(&*host, order),
                Work::Hook(entry, request) => {
                    host.supervise();
                    let report = call(&entry, &request);
                    entry.end_call();
                    // Perhaps the last owner of the hook, whose drop is somebody else's code.
                    shielded(|| drop(entry));
                    if !self.returned(incarnation, report) {
                        return;
                    }
                }
                Work::Purge => self.finish(&*host),
            }
        }
    }

    fn next_work(&self) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return None;
            }
            let may_call_hooks = state.stuck < MAX_STUCK_RUNNERS;
            if let Some(Some(job)) = &mut state.running {
                return Some(match job.next_step(Instant::now(), may_call_hooks) {
                    Step::Hook(entry, request) => Work::Hook(entry, request),
                    Step::Purge => Work::Purge,
                });
            }
            if let Some(order) = state.waiting.take() {
                state.running = Some(None);
                state.begun_total += 1;
                return Some(Work::Begin(order));
            }
            state = self.changed.wait(state);
        }
    }

    fn begin(&self, host: &dyn Host, order: Order) {
        let before = host.measure();
        let target_bytes = host.target_bytes(order.reason, &before);
        let hooks = if order.call_hooks {
            self.registry.entries().to_vec()
        } else {
            Vec::new()
        };
        let job = Job::new(
            order,
            before,
            target_bytes,
            hooks,
            Instant::now(),
            self.deadline,
        );
        self.state.lock().running = Some(Some(job));
    }

    /// Notes that a hook has returned; whether this runner still is the one.
    fn returned(&self, incarnation: u64, report: HookReport) -> bool {
        let mut state = self.state.lock();
        let current = state.incarnation == incarnation;
        if !current {
            state.stuck -= 1;
        } else if let Some(Some(job)) = &mut state.running {
            job.returned(report);
        }
        current
    }

    fn finish(&self, host: &dyn Host) {
        jemalloc::flush_thread_cache();
        let purged = jemalloc::purge_all_arenas();
        meter::purge_has_run();
        let after = host.measure();
        let Some(Some(mut job)) = self.state.lock().running.replace(None) else {
            return;
        };
        let report = Arc::new(CleanupReport {
            outcome: CleanupOutcome::Cleaned,
            reason: Some(job.order.reason),
            before: job.before,
            after,
            hooks: std::mem::take(&mut job.reports),
            purged,
            thread_cache_bytes: after.heap.map(|heap| heap.thread_cache_bytes),
            duration_ms: job.started.elapsed().as_millis() as u64,
        });
        // Before anybody waiting is told, so that they find this cleanup in the statistics.
        host.cleaned(&report);
        let mut state = self.state.lock();
        state.running = None;
        state.last = Some(Arc::clone(&report));
        state.done_total = state.begun_total;
        drop(state);
        self.changed.notify_all();
        shielded(|| drop(job));
        shielded(|| host.tell(&report));
    }
}

enum Work {
    Begin(Order),
    Hook(Arc<Entry>, CleanupRequest),
    Purge,
}

/// Calls a hook and measures what its call did.
fn call(entry: &Entry, request: &CleanupRequest) -> HookReport {
    let measured = jemalloc::is_global();
    let active_before = jemalloc::active_bytes();
    let counts_before = counters::now();
    let started = Instant::now();
    let mut estimated_bytes = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        estimated_bytes = entry.hook.estimate();
        entry.hook.cleanup(request)
    }));
    let duration = started.elapsed();
    let counts = counters::now().since(counts_before);
    let process_freed_bytes = active_before
        .zip(jemalloc::active_bytes())
        .map(|(before, after)| before as i64 - after as i64);
    let (outcome, claimed_bytes) = match result {
        Ok(claimed) => (HookOutcome::Completed, claimed.as_u64()),
        Err(payload) => (HookOutcome::Panicked(message(payload)), None),
    };
    HookReport {
        estimated_bytes,
        claimed_bytes,
        freed_bytes: measured.then_some(counts.freed_bytes),
        allocated_bytes: measured.then_some(counts.allocated_bytes),
        process_freed_bytes,
        ..HookReport::without_result(&entry.name, outcome, duration)
    }
}

/// Runs code that is not ours and whose panic must not end the runner.
fn shielded(action: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(action)) {
        message(payload);
    }
}

fn message(payload: Box<dyn Any + Send>) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        // Its drop is user code that could panic once more, outside of any catch.
        std::mem::forget(payload);
        "a value that is no text".to_owned()
    }
}

/// What a caller gets whose wait ended before the cleanup: the state of the job, if it has begun at all.
fn timed_out(
    reason: CleanupReason,
    job: Option<(CleanupReason, Usage, Vec<HookReport>, Duration)>,
    now: Usage,
) -> CleanupReport {
    let mut report = CleanupReport::not_run(CleanupOutcome::TimedOut, Some(reason), now);
    if let Some((reason, before, hooks, duration)) = job {
        report.reason = Some(reason);
        report.before = before;
        report.hooks = hooks;
        report.duration_ms = duration.as_millis() as u64;
    }
    report
}
