//! The runner: the one thread that calls hooks and purges, and is replaced when a hook does not come back.
//!
//! One cleanup runs at a time and one more can wait; whoever asks while one waits shares it. So everybody gets the report of
//! a cleanup that began after the call, and no number of callers can queue up more than two.

use std::cell::Cell;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cleanup::backoff::Backoff;
use crate::cleanup::call::{Called, Stopwatch, call};
use crate::cleanup::job::{Job, Step};
use crate::cleanup::order::{Order, Unused};
use crate::cleanup::purge::Purge;
use crate::cleanup::registry::Entry;
use crate::cleanup::{CleanupOutcome, CleanupReason, CleanupReport, CleanupRequest, Registry};
use crate::meter;
use crate::sys::fork;
use crate::sys::jemalloc;
use crate::sys::lock::{Condvar, Mutex};
use crate::sys::trim;
use crate::sys::wake::shielded;
use crate::usage::Usage;

/// Runners that may be stuck in hooks at the same time. After that hooks are skipped until one of them returns, and the
/// last runner only purges.
const MAX_STUCK_RUNNERS: usize = 4;
/// Before a cleanup the figures will do by which it was ordered.
const JUST_NOW: Duration = Duration::from_millis(1);

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
    /// Fresh figures, slow facts `at_most_old`.
    fn measure(&self, at_most_old: Duration) -> Usage;
    /// Bytes to ask hooks for.
    fn target_bytes(&self, reason: CleanupReason, usage: &Usage) -> u64;
    /// Bytes of unused pages that are [`Unused::Enough`] now.
    fn enough_unused_bytes(&self) -> u64;
    /// A hook has been called: somebody must look when its time is up.
    fn supervise(&self);
    /// A cleanup is done: note it, whether it was in vain, and how much may be used while the next that nobody waits for
    /// has to rest; 0 if it does not have to, `None` if no hook was asked and all stays as it was.
    fn cleaned(&self, report: &Arc<CleanupReport>, is_futile: bool, room_bytes: Option<u64>);
    /// The runner is idle again: tell whoever listens. May run other people's code (a subscriber), and panic.
    fn tell(&self, report: &CleanupReport, is_futile: bool);
}

/// A cleanup that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

pub(crate) struct Runner {
    host: Weak<dyn Host>,
    registry: Arc<Registry>,
    deadline: Duration,
    purge: Purge,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Option<Order>,
    /// The job under way; `None` inside while usage is measured before it.
    running: Option<Option<Job>>,
    /// What the call of the hook under way costs.
    hook_cost: Option<Stopwatch>,
    backoff: Backoff,
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
            purge: Purge::default(),
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

    /// Whether the last cleanup was worth its cost, or is long enough ago, for another that nobody waits for.
    pub(crate) fn has_rested(&self, now: Instant, usage: &Usage) -> bool {
        self.state.lock().backoff.may_start(now, usage.binding)
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
        let partial = match &state.running {
            Some(Some(job)) if state.begun_total == ticket.0 => {
                Some(job.partial_report(Instant::now()))
            }
            _ => None,
        };
        drop(state);
        let now = usage();
        Arc::new(match partial {
            Some(report) => report.ending_with(now),
            None => CleanupReport::not_run(CleanupOutcome::TimedOut, Some(reason), now),
        })
    }

    /// Looks whether the hook under way is late; if so it is left behind with its thread, and a new runner goes on. Returns
    /// when to look again.
    pub(crate) fn supervise(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let hook_cost = state.hook_cost;
        let Some(Some(job)) = &mut state.running else {
            return None;
        };
        if job.give_up_late(now, || {
            hook_cost.map_or(Duration::ZERO, |watch| watch.cost())
        }) {
            state.incarnation += 1;
            state.stuck += 1;
            // Detached: it leaves on its own when its hook returns.
            state.thread = None;
        }
        // One that could not be started at first, perhaps can be now.
        if !state.stop {
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
                    let called = call(&entry, &request);
                    entry.end_call();
                    // Perhaps the last owner of the hook, whose drop is somebody else's code.
                    shielded(|| drop(entry));
                    if !self.returned(incarnation, called) {
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
                    Step::Hook(entry, request) => {
                        state.hook_cost = Some(Stopwatch::start());
                        Work::Hook(entry, request)
                    }
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

    fn begin(&self, host: &dyn Host, mut order: Order) {
        let stopwatch = Stopwatch::start();
        if order.purge == Unused::Enough && !Purge::can_tell() {
            order.purge = Unused::All;
        }
        let before = host.measure(JUST_NOW);
        let mut target_bytes = host.target_bytes(order.reason, &before);
        // Where all that is unused goes back it goes first: of pages that never were in memory nobody can tell before they are gone.
        let mut at_hooks = before;
        if order.purge == Unused::All
            && order.call_hooks
            && target_bytes != u64::MAX
            && before.unused_bytes > 0
        {
            jemalloc::purge_all_arenas();
            at_hooks = host.measure(Duration::ZERO);
            target_bytes = host.target_bytes(order.reason, &at_hooks);
        }
        let hooks = if order.call_hooks {
            self.registry.in_order()
        } else {
            Vec::new()
        };
        let mut job = Job::new(
            order,
            before,
            target_bytes,
            hooks,
            Instant::now(),
            self.deadline,
        );
        job.at_hooks = at_hooks;
        job.cost = stopwatch.cost();
        self.state.lock().running = Some(Some(job));
    }

    /// Notes that a hook has returned; whether this runner still is the one.
    fn returned(&self, incarnation: u64, called: Called) -> bool {
        let mut state = self.state.lock();
        let current = state.incarnation == incarnation;
        if !current {
            state.stuck -= 1;
        } else if let Some(Some(job)) = &mut state.running {
            job.returned(called);
        }
        current
    }

    fn finish(&self, host: &dyn Host) {
        let stopwatch = Stopwatch::start();
        // What hooks have freed on this thread.
        jemalloc::flush_thread_cache();
        let purge = match &self.state.lock().running {
            Some(Some(job)) => job.order.purge,
            _ => Unused::None,
        };
        let purge_bytes = match purge {
            Unused::None => 0,
            Unused::Enough => host.enough_unused_bytes(),
            Unused::All => u64::MAX,
        };
        let purged = purge_bytes > 0 && self.purge.run(purge_bytes);
        let trimmed = purge_bytes > 0 && !jemalloc::is_global() && trim::trim();
        if purge_bytes > 0 {
            meter::purge_has_run();
        }
        let after = host.measure(Duration::ZERO);
        let Some(Some(mut job)) = self.state.lock().running.replace(None) else {
            return;
        };
        let cost = job.cost + stopwatch.cost();
        let report = Arc::new(CleanupReport {
            outcome: CleanupOutcome::Cleaned,
            reason: Some(job.order.reason),
            before: job.before,
            after,
            target_bytes: job.finite_target_bytes(),
            hooks: std::mem::take(&mut job.reports),
            purged,
            trimmed,
            thread_cache_bytes: after.heap.map(|heap| heap.thread_cache_bytes),
            duration_ms: job.started.elapsed().as_millis() as u64,
            cpu_us: cost.as_micros() as u64,
        });
        let now = Instant::now();
        let mut state = self.state.lock();
        // A purge alone is cheap, and says nothing about hooks.
        let mut is_futile = false;
        let room_bytes = job.order.call_hooks.then(|| {
            let highest = [report.before.binding, report.after.binding]
                .into_iter()
                .flatten()
                .max_by_key(|bound| bound.used_bytes);
            let asked_at = job.has_hooks_to_ask().then_some(&job.at_hooks);
            let yielded_bytes = report.yielded_bytes(asked_at);
            // Where nobody is there to ask, no more was to be had.
            let target_bytes = match asked_at {
                Some(_) => job.target_bytes,
                None => job.target_bytes.min(purge_bytes),
            };
            is_futile = state
                .backoff
                .cleaned(now, cost, target_bytes, yielded_bytes, highest);
            state.backoff.room_bytes()
        });
        drop(state);
        // Before anybody waiting is told, so that they find this cleanup in the statistics.
        host.cleaned(&report, is_futile, room_bytes);
        let mut state = self.state.lock();
        state.running = None;
        state.last = Some(Arc::clone(&report));
        state.done_total = state.begun_total;
        drop(state);
        self.changed.notify_all();
        shielded(|| drop(job));
        shielded(|| host.tell(&report, is_futile));
    }
}

enum Work {
    Begin(Order),
    Hook(Arc<Entry>, CleanupRequest),
    Purge,
}

#[cfg(test)]
mod tests;
