//! What a manager and its threads share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cleanup::{
    CleanupOutcome, CleanupReason, CleanupReport, Decay, Host, Order, Registry, Runner, Unused,
};
use crate::manager::config::Config;
#[cfg(feature = "telemetry")]
use crate::manager::kept::Kept;
use crate::manager::notices::Notices;
use crate::manager::watcher::{Plan, Watcher};
use crate::manager::worker::FRESH;
use crate::manager::{lines, need, worker};
use crate::meter::{self, Bell, ring};
use crate::pressure::{PressureLevel, Subscribers, Watch};
use crate::reserve::{Pool, Source};
use crate::sys::fork::{PerProcess, Snapshot};
use crate::sys::lock::Mutex;
use crate::usage::{Gauge, Usage};

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) registry: Arc<Registry>,
    pub(super) bell: Bell,
    gauge: PerProcess<Gauge>,
    threads: PerProcess<Threads>,
    pool: PerProcess<Arc<Pool>>,
    watch: PerProcess<Arc<Watch>>,
    subscribers: Arc<Subscribers>,
    /// RSS after the last cleanup, or at the start: growth counts from here.
    pub(super) last_rss_bytes: AtomicU64,
    pub(super) cleanups_total: AtomicU64,
    pub(super) cleanups_futile_total: AtomicU64,
    pub(super) cleanup_returned_bytes_total: AtomicU64,
    pub(super) cleanup_cpu_us_total: AtomicU64,
    pub(super) last_cleanup: Snapshot<Option<Arc<CleanupReport>>>,
    /// How often usage was measured for a decision.
    pub(super) looks_total: AtomicU64,
    /// The worker's forecast; [`NEVER`] when there is none.
    time_to_limit_ms: AtomicU64,
    /// Cleanups were in vain: so much may be used before threads are braked. Else 0.
    unbraked_bytes: AtomicU64,
    /// Unused pages that the program takes back at once, as the worker has learned.
    churn_bytes: AtomicU64,
    pub(super) decay: Decay,
    #[cfg(feature = "telemetry")]
    pub(super) kept: Kept,
    this: Weak<Shared>,
}

/// No forecast.
const NEVER: u64 = u64::MAX;

/// The threads of one process; a forked child starts its own.
pub(super) struct Threads {
    pub(super) runner: Arc<Runner>,
    pub(super) watcher: Arc<Watcher>,
    worker: Mutex<Option<JoinHandle<()>>>,
    has_worker: AtomicBool,
}

impl Threads {
    fn new(shared: &Weak<Shared>, registry: &Arc<Registry>, config: &Config) -> Self {
        let host: Weak<dyn Host> = shared.clone();
        let rung = shared.clone();
        let ring = move || rung.upgrade().map(|shared| shared.bell.ring(ring::LOOK));
        Threads {
            runner: Runner::new(host, Arc::clone(registry), config.cleanup_deadline),
            watcher: Watcher::new(move || ring().is_some()),
            worker: Mutex::new(None),
            has_worker: AtomicBool::new(false),
        }
    }

    pub(super) fn has_worker(&self) -> bool {
        self.has_worker.load(Ordering::Acquire)
    }

    #[cold]
    fn start_worker(&self, shared: Arc<Shared>) {
        let mut worker = self.worker.lock();
        // Not by whether there is a handle: `stop` takes it, while a worker that has only just begun may still wait here to see whether
        // there is one. Two would share a bell, and the one that is waited for might never hear that it is to stop.
        if !self.has_worker()
            && let Ok(thread) = worker::spawn(Arc::clone(&shared))
        {
            *worker = Some(thread);
            self.has_worker.store(true, Ordering::Release);
            meter::is_listened_to(&shared.bell);
        }
    }
}

impl Shared {
    pub(super) fn start(config: Config, gauge: Gauge) -> Arc<Self> {
        let rss_bytes = gauge.usage().rss_bytes;
        let shared = Arc::new_cyclic(|this: &Weak<Shared>| {
            let registry = Arc::new(Registry::new());
            let subscribers = Subscribers::new();
            Shared {
                threads: PerProcess::new(Threads::new(this, &registry, &config)),
                config,
                registry,
                bell: Bell::new(),
                gauge: PerProcess::new(gauge),
                pool: PerProcess::new(Pool::new(this.clone())),
                watch: PerProcess::new(Watch::new(&subscribers, PressureLevel::Normal)),
                subscribers,
                last_rss_bytes: AtomicU64::new(rss_bytes),
                cleanups_total: AtomicU64::new(0),
                cleanups_futile_total: AtomicU64::new(0),
                cleanup_returned_bytes_total: AtomicU64::new(0),
                cleanup_cpu_us_total: AtomicU64::new(0),
                last_cleanup: Snapshot::new(None),
                looks_total: AtomicU64::new(0),
                time_to_limit_ms: AtomicU64::new(NEVER),
                unbraked_bytes: AtomicU64::new(0),
                churn_bytes: AtomicU64::new(0),
                decay: Decay::new(),
                #[cfg(feature = "telemetry")]
                kept: Kept::new(),
                this: this.clone(),
            }
        });
        shared.threads();
        shared
    }

    /// This process's threads, started if need be. When they can't be started, the next call tries again.
    pub(super) fn threads(&self) -> &Threads {
        let threads = self
            .threads
            .get(|_| Threads::new(&self.this, &self.registry, &self.config));
        if !threads.has_worker()
            && let Some(shared) = self.this.upgrade()
        {
            threads.start_worker(shared);
            // A forked child's, for those who subscribed in its parent.
            self.watch().start_subscribers();
        }
        threads
    }

    /// This process's instruments. A forked child that opens its own starts its threads as well: without a worker the slow
    /// facts would stay those of the moment.
    pub(super) fn gauge(&self) -> &Gauge {
        self.gauge.get(|parents| {
            self.threads();
            parents.reopen()
        })
    }

    /// This process's reservations.
    #[inline]
    pub(super) fn pool(&self) -> &Arc<Pool> {
        self.pool.get(|_| Pool::new(self.this.clone()))
    }

    /// This process's level, and who waits for another.
    #[inline]
    pub(super) fn watch(&self) -> &Arc<Watch> {
        self.watch
            .get(|parents| Watch::new(&self.subscribers, parents.level()))
    }

    pub(super) fn usage(&self) -> Usage {
        self.gauge().usage()
    }

    /// Measures usage, with slow facts that are `at_most_old`, and sets by it where the heap rings and where threads are braked. The level is
    /// the worker's to say.
    pub(super) fn look(&self, at_most_old: Duration) -> Usage {
        let is_installed = meter::is_installed(&self.bell);
        // Before the rest: what is allocated in between is then used and not counted as room.
        let anonymous_bytes = is_installed.then(meter::anonymous_bytes).flatten();
        let gauge = self.gauge();
        gauge.refresh(at_most_old);
        let usage = gauge.usage();
        self.looks_total.fetch_add(1, Ordering::Relaxed);
        if is_installed {
            // What cleanups in vain allowed is over with the pressure.
            if need::level_by_use(&self.config, &usage) == PressureLevel::Normal {
                self.unbraked_bytes.store(0, Ordering::Relaxed);
            }
            let unbraked_bytes = self.unbraked_bytes.load(Ordering::Relaxed);
            let churn_bytes = self.churn_bytes();
            lines::set(
                &self.config,
                &usage,
                churn_bytes,
                anonymous_bytes,
                unbraked_bytes,
            );
        }
        usage
    }

    pub(super) fn set_churn_bytes(&self, bytes: u64) {
        self.churn_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn churn_bytes(&self) -> u64 {
        self.churn_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn set_time_to_limit(&self, time: Option<Duration>) {
        let ms = time.map_or(NEVER, |time| time.as_millis().try_into().unwrap_or(NEVER));
        self.time_to_limit_ms.store(ms, Ordering::Relaxed);
    }

    pub(super) fn time_to_limit_ms(&self) -> Option<u64> {
        Some(self.time_to_limit_ms.load(Ordering::Relaxed)).filter(|&ms| ms != NEVER)
    }

    /// Worker only: listens to whatever tells earlier than the next tick, as of `usage`.
    pub(super) fn listen(&self, usage: &Usage) {
        let line_bytes = usage.binding.map_or(0, |bound| {
            let lines = &self.config.lines;
            lines.begin_bytes(&bound, PressureLevel::Elevated)
        });
        let plan = Plan::new(self.gauge(), usage.binding, line_bytes);
        self.threads().watcher.configure(plan);
    }

    /// What was told earlier than the ticks.
    pub(super) fn notices(&self) -> &Notices {
        self.threads().watcher.notices()
    }

    /// Why a cleanup that somebody asked for is needed now, if it is.
    pub(super) fn need(&self, usage: &Usage) -> Option<CleanupReason> {
        let last_rss_bytes = self.last_rss_bytes.load(Ordering::Relaxed);
        need::when_asked(&self.config, usage, last_rss_bytes)
    }

    /// One that somebody asked for: hooks run when that was without a condition, and above the Elevated line; else a purge is enough.
    pub(super) fn order(&self, reason: CleanupReason, usage: &Usage) -> Order {
        let level = need::level_by_use(&self.config, usage);
        Order {
            reason,
            call_hooks: reason >= CleanupReason::Pressure || level >= PressureLevel::Elevated,
            purge: Unused::All,
        }
    }

    pub(super) fn check_and_cleanup(&self) -> CleanupReport {
        let usage = self.look(Duration::ZERO);
        match self.need(&usage) {
            Some(reason) => self.cleanup(reason, &usage),
            None => CleanupReport::not_run(CleanupOutcome::NotNeeded, None, usage),
        }
    }

    pub(super) fn force_cleanup(&self) -> CleanupReport {
        self.cleanup(CleanupReason::Forced, &self.usage())
    }

    /// Has the runner clean up and waits for it.
    fn cleanup(&self, reason: CleanupReason, usage: &Usage) -> CleanupReport {
        let runner = &self.threads().runner;
        let not_run = |outcome| CleanupReport::not_run(outcome, Some(reason), self.usage());
        if runner.is_inside_hook() {
            return not_run(CleanupOutcome::InsideHook);
        }
        match runner.submit(self.order(reason, usage)) {
            Some(ticket) => CleanupReport::clone(&runner.wait(ticket, reason, || self.usage())),
            None => not_run(CleanupOutcome::Unavailable),
        }
    }

    /// Ends the threads of this process.
    pub(super) fn stop(&self) {
        let threads = self
            .threads
            .get(|_| Threads::new(&self.this, &self.registry, &self.config));
        self.bell.ring(ring::STOP);
        self.pool().close();
        self.watch().close();
        // The worker may hold the last other reference and so drop everything itself: it can't wait for itself.
        let worker = threads.worker.lock().take();
        if let Some(worker) = worker.filter(|w| w.thread().id() != std::thread::current().id()) {
            let _ = worker.join();
        }
        threads.watcher.stop();
        threads.runner.stop();
    }
}

impl Source for Shared {
    fn usage(&self) -> Usage {
        Shared::usage(self)
    }

    fn may_promise(&self) -> bool {
        self.watch().level() < PressureLevel::High
    }

    fn somebody_waits(&self) {
        self.threads();
        self.bell.ring(ring::CHECK);
    }
}

impl Host for Shared {
    fn measure(&self, at_most_old: Duration) -> Usage {
        self.look(at_most_old)
    }

    fn target_bytes(&self, reason: CleanupReason, usage: &Usage) -> u64 {
        need::target_bytes(&self.config, reason, usage, self.churn_bytes())
    }

    fn enough_unused_bytes(&self) -> u64 {
        need::enough_unused_bytes(&self.config, &self.look(FRESH))
    }

    fn supervise(&self) {
        self.bell.ring(ring::SUPERVISE);
    }

    fn cleaned(&self, report: &Arc<CleanupReport>, is_futile: bool, room_bytes: Option<u64>) {
        self.last_rss_bytes
            .store(report.after.rss_bytes, Ordering::Relaxed);
        self.cleanups_total.fetch_add(1, Ordering::Relaxed);
        self.cleanups_futile_total
            .fetch_add(u64::from(is_futile), Ordering::Relaxed);
        let returned_bytes = u64::try_from(report.returned_bytes()).unwrap_or(0);
        self.cleanup_returned_bytes_total
            .fetch_add(returned_bytes, Ordering::Relaxed);
        self.cleanup_cpu_us_total
            .fetch_add(report.cpu_us, Ordering::Relaxed);
        self.last_cleanup.update(|_| (Some(Arc::clone(report)), ()));
        // While cleanups rest, threads are braked only as far as memory grows: to wait for nothing would slow down a program whose
        // memory is simply in use.
        if let Some(room_bytes) = room_bytes {
            self.unbraked_bytes.store(room_bytes, Ordering::Relaxed);
        }
    }

    fn tell(&self, report: &CleanupReport, is_futile: bool) {
        // The level is over, or the next step is due.
        self.bell.ring(ring::LOOK);
        tracing::info!(
            target: "plimsoll",
            reason = report.reason.map(tracing::field::display),
            returned_bytes = report.returned_bytes(),
            resident_bytes = report.after.rss_bytes,
            took_ms = report.duration_ms,
            is_futile,
            "memory cleanup"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::MemoryManager;

    #[test]
    fn a_worker_that_comes_late_starts_no_other_once_it_is_to_stop() {
        let manager = MemoryManager::builder().build().unwrap();
        let shared = Arc::clone(&manager.shared);
        shared.stop();
        let threads = shared.threads.get(|_| unreachable!("no fork"));
        threads.start_worker(Arc::clone(&shared));
        assert!(threads.worker.lock().is_none());
    }
}
