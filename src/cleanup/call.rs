//! Calling a hook: what its call did, measured, and what it cost.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::cleanup::registry::Entry;
use crate::cleanup::{CleanupRequest, HookOutcome, HookReport};
use crate::sys::clock::ThreadClock;
use crate::sys::counters;
use crate::sys::jemalloc;

/// A call that has returned.
pub(super) struct Called {
    pub(super) report: HookReport,
    pub(super) duration: Duration,
    pub(super) cost: Duration,
}

/// Runs from its start on, on the thread that started it; any thread may read it meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    started: Instant,
    clock: ThreadClock,
    processor_time: Option<Duration>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let clock = ThreadClock::of_this_thread();
        Stopwatch {
            started: Instant::now(),
            clock,
            processor_time: clock.now(),
        }
    }

    /// Processor time of the thread since the start; where no clock tells it, all the time there was.
    pub(super) fn cost(&self) -> Duration {
        match (self.processor_time, self.clock.now()) {
            (Some(started), Some(now)) => now.saturating_sub(started),
            _ => self.started.elapsed(),
        }
    }
}

/// Calls a hook and measures what its call did.
pub(super) fn call(entry: &Entry, request: &CleanupRequest) -> Called {
    let measured = jemalloc::is_global();
    let active_before = jemalloc::active_bytes();
    let counts_before = counters::now();
    let stopwatch = Stopwatch::start();
    let mut estimated_bytes = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        estimated_bytes = entry.hook.estimate();
        entry.said(estimated_bytes);
        entry.hook.cleanup(request)
    }));
    let duration = stopwatch.started.elapsed();
    let cost = stopwatch.cost();
    let counts = counters::now().since(counts_before);
    let process_freed_bytes = active_before
        .zip(jemalloc::active_bytes())
        .map(|(before, after)| before as i64 - after as i64);
    let (outcome, claimed_bytes) = match result {
        Ok(claimed) => (HookOutcome::Completed, claimed.as_u64()),
        Err(payload) => (HookOutcome::Panicked(message(payload)), None),
    };
    let report = HookReport {
        estimated_bytes,
        claimed_bytes,
        freed_bytes: measured.then_some(counts.freed_bytes),
        allocated_bytes: measured.then_some(counts.allocated_bytes),
        process_freed_bytes,
        ..HookReport::without_result(&entry.name, outcome, duration)
    };
    Called {
        report,
        duration,
        cost,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[cfg(target_os = "linux")]
    #[test]
    fn sleeping_costs_nothing_and_working_costs_what_it_took_seen_from_any_thread() {
        let stopwatch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(200));
        // Processor time, not elapsed time: waking up once takes a fraction of a millisecond.
        assert!(
            stopwatch.cost() < Duration::from_millis(100),
            "{stopwatch:?}"
        );
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::channel();
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                send.send(Stopwatch::start()).unwrap();
                while stopped.try_recv().is_err() {
                    black_box(0);
                }
            });
            let others = receive.recv().unwrap();
            while others.cost() < Duration::from_millis(20) {
                std::thread::yield_now();
            }
            stop.send(()).unwrap();
        });
    }
}
