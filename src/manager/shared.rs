//! What a manager and its threads share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::cleanup::{
    CleanupOutcome, CleanupReason, CleanupReport, Host, Order, Registry, Runner, need,
};
use crate::manager::config::Config;
use crate::manager::notices::Notices;
use crate::manager::watcher::{Plan, Watcher};
use crate::manager::worker;
use crate::meter::{self, Bell, ring};
use crate::pressure::{CurrentLevel, PressureLevel};
use crate::reserve::{Pool, Source};
use crate::sys::fork::{PerProcess, Snapshot};
use crate::sys::lock::Mutex;
use crate::usage::{Gauge, Usage};

/// Nearer to its line the heap rings no sooner: each ring costs the worker a reading.
const LEAST_LINE_BYTES: u64 = 1 << 20;

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) registry: Arc<Registry>,
    pub(super) level: CurrentLevel,
    pub(super) bell: Bell,
    gauge: PerProcess<Gauge>,
    threads: PerProcess<Threads>,
    pool: PerProcess<Arc<Pool>>,
    /// RSS after the last cleanup, or at the start: growth counts from here.
    pub(super) last_rss_bytes: AtomicU64,
    pub(super) cleanups_total: AtomicU64,
    /// The last cleanup, and when it ended.
    pub(super) last_cleanup: Snapshot<Option<(Instant, Arc<CleanupReport>)>>,
    this: Weak<Shared>,
}

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
        let ring = move || rung.upgrade().map(|shared| shared.bell.ring(ring::NOTICE));
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
        if worker.is_none()
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
            Shared {
                threads: PerProcess::new(Threads::new(this, &registry, &config)),
                config,
                registry,
                level: CurrentLevel::new(),
                bell: Bell::new(),
                gauge: PerProcess::new(gauge),
                pool: PerProcess::new(Pool::new(this.clone())),
                last_rss_bytes: AtomicU64::new(rss_bytes),
                cleanups_total: AtomicU64::new(0),
                last_cleanup: Snapshot::new(None),
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

    pub(super) fn usage(&self) -> Usage {
        self.gauge().usage()
    }

    /// Takes everything anew, the slow facts included, sets the level by it, and serves those who wait for memory.
    pub(super) fn look(&self) -> Usage {
        let gauge = self.gauge();
        gauge.refresh();
        let usage = gauge.usage();
        self.level.set(if self.config.lines.is_high(&usage) {
            PressureLevel::High
        } else {
            PressureLevel::Normal
        });
        self.pool().look();
        usage
    }

    /// The heap may grow by what is left to the High line, then it rings. Above that line, or when there is none, the ticks watch.
    pub(super) fn arm_heap_line(&self, usage: &Usage) {
        if !meter::is_installed(&self.bell) {
            return;
        }
        match (usage.heap, usage.binding) {
            (Some(heap), Some(bound)) if !self.config.lines.is_high(usage) => {
                let left_bytes = self.config.lines.left_bytes(&bound).max(LEAST_LINE_BYTES);
                meter::arm_heap_line(heap.active_bytes.saturating_add(left_bytes));
            }
            _ => meter::disarm_heap_line(),
        }
    }

    /// Worker only: listens to whatever tells earlier than the next tick, as of `usage`.
    pub(super) fn watch(&self, usage: &Usage) {
        let line_bytes = usage
            .binding
            .map_or(0, |bound| self.config.lines.line_bytes(&bound));
        let plan = Plan::new(self.gauge(), usage.binding, line_bytes);
        self.threads().watcher.configure(plan);
    }

    /// What was told earlier than the ticks.
    #[allow(dead_code, reason = "for what classifies")]
    pub(super) fn notices(&self) -> &Notices {
        self.threads().watcher.notices()
    }

    /// Why a cleanup is needed now, if it is.
    pub(super) fn need(&self, usage: &Usage) -> Option<CleanupReason> {
        let last_rss_bytes = self.last_rss_bytes.load(Ordering::Relaxed);
        need(&self.config.lines, usage, last_rss_bytes)
    }

    /// Hooks run when asked for or above the High line; below it a purge is enough, for whatever reason.
    pub(super) fn order(&self, reason: CleanupReason, usage: &Usage) -> Order {
        Order {
            reason,
            call_hooks: reason == CleanupReason::Forced || self.config.lines.is_high(usage),
        }
    }

    pub(super) fn check_and_cleanup(&self) -> CleanupReport {
        let usage = self.look();
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

    fn somebody_waits(&self) {
        self.threads();
        self.bell.ring(ring::CHECK);
    }
}

impl Host for Shared {
    fn measure(&self) -> Usage {
        self.look()
    }

    fn target_bytes(&self, reason: CleanupReason, usage: &Usage) -> u64 {
        match (reason, &usage.binding) {
            (CleanupReason::Forced, _) | (_, None) => u64::MAX,
            (_, Some(bound)) => self.config.lines.target_bytes(bound),
        }
    }

    fn supervise(&self) {
        self.bell.ring(ring::SUPERVISE);
    }

    fn cleaned(&self, report: &Arc<CleanupReport>) {
        self.last_rss_bytes
            .store(report.after.rss_bytes, Ordering::Relaxed);
        self.cleanups_total.fetch_add(1, Ordering::Relaxed);
        let ended = Instant::now();
        self.last_cleanup
            .update(|_| (Some((ended, Arc::clone(report))), ()));
    }

    fn tell(&self, report: &CleanupReport) {
        tracing::info!(
            target: "plimsoll",
            reason = %report.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            returned_bytes = report.returned_bytes(),
            rss_bytes = report.after.rss_bytes,
            duration_ms = report.duration_ms,
            "memory cleanup"
        );
    }
}
