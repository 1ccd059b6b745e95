//! The worker: takes readings, answers the bell, decides. It calls no hook; what it decides, the runner does.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bytes::ByteSize;
use crate::cleanup::CleanupReason;
use crate::manager::shared::Shared;
use crate::meter::ring;
use crate::scope::{Crossing, drain_crossings};
use crate::usage::Usage;

/// How old the slow facts may get: twice a second keeps them under a second old on a busy machine.
const TICK: Duration = Duration::from_millis(500);
/// Checks that counters request are answered at most this often: a look costs up to a millisecond.
const CHECK_SPACING: Duration = Duration::from_millis(100);
/// After a cleanup the next that nobody waits for comes no sooner than this many times its duration, so that cleanups take at
/// most about a tenth of the time, however futile.
const REST_PER_CLEANUP: u32 = 9;
/// At most one warning per site in this time.
const WARNING_SPACING: Duration = Duration::from_secs(1);
/// How far below the High line usage must fall before the next rise is told.
const WELL_BELOW_PERCENT: f64 = 5.0;
/// Deep enough for a tracing subscriber, small enough for a worker.
const STACK_BYTES: usize = 512 << 10;

pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("plimsoll-worker".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || Worker::new(&shared).run())
}

struct Worker<'a> {
    shared: &'a Shared,
    next_tick: Instant,
    next_check: Instant,
    next_warning: Instant,
    /// When the hook under way must have returned.
    hook_deadline: Option<Instant>,
    check_wanted: bool,
    crossings_wait: bool,
    crossing_wants_cleanup: bool,
    high_was_told: bool,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = Instant::now();
        Worker {
            shared,
            next_tick: now + TICK,
            next_check: now,
            next_warning: now,
            hook_deadline: None,
            check_wanted: false,
            crossings_wait: false,
            crossing_wants_cleanup: false,
            high_was_told: false,
        }
    }

    fn run(mut self) {
        loop {
            let now = Instant::now();
            let timeout = self.wake_at(now).saturating_duration_since(now);
            // Checks wait in the bell until one is due: a counter that rings all the time then rings for nothing.
            let postponed = if now < self.next_check {
                ring::CHECK
            } else {
                0
            };
            let bits = self.shared.bell.wait(timeout, postponed);
            if bits & ring::STOP != 0 {
                return;
            }
            self.check_wanted |= bits & ring::CHECK != 0;
            self.crossings_wait |= bits & ring::EXCEEDED != 0;
            let now = Instant::now();
            self.hook_deadline = self.shared.threads().runner.supervise(now);
            if bits & ring::CLEAN != 0 {
                self.submit(CleanupReason::Forced, &self.shared.usage());
            }
            if self.crossings_wait && now >= self.next_warning {
                self.crossings_wait = false;
                self.next_warning = now + WARNING_SPACING;
                self.tell_crossings();
            }
            if bits & (ring::HEAP_LINE | ring::NOTICE) != 0 {
                // The heap has grown up to its line, or something was told: a fresh reading decides, at once.
                self.take_reading();
                if self.check_wanted {
                    self.check(now);
                }
            } else if self.wants_cleanup() && now >= self.next_check {
                self.check(now);
            }
            if now >= self.next_tick {
                self.take_reading();
                self.next_tick = now + TICK;
            }
        }
    }

    /// Takes everything anew, and sees that a level above the High line is told and cleaned up, and one below it is watched.
    fn take_reading(&mut self) {
        let usage = self.shared.look();
        self.check_wanted |= self.shared.config.lines.is_high(&usage);
        self.shared.arm_heap_line(&usage);
        self.shared.watch(&usage);
        self.tell_level(&usage);
    }

    fn wants_cleanup(&self) -> bool {
        self.check_wanted || self.crossing_wants_cleanup
    }

    /// The earliest of what waits.
    fn wake_at(&self, now: Instant) -> Instant {
        let check = (self.wants_cleanup() || now < self.next_check).then_some(self.next_check);
        let warning = self.crossings_wait.then_some(self.next_warning);
        [check, warning, self.hook_deadline]
            .into_iter()
            .flatten()
            .fold(self.next_tick, Instant::min)
    }

    /// Looks whether a cleanup is needed, and has the runner do it.
    fn check(&mut self, now: Instant) {
        self.next_check = now + CHECK_SPACING;
        if self.shared.threads().runner.is_busy() {
            return;
        }
        let rested = match &*self.shared.last_cleanup.load() {
            Some((ended, last)) => {
                let rest = Duration::from_millis(last.duration_ms) * REST_PER_CLEANUP;
                now.saturating_duration_since(*ended) >= rest
            }
            None => true,
        };
        if !rested {
            return;
        }
        let usage = self.shared.look();
        let crossed = std::mem::take(&mut self.crossing_wants_cleanup);
        self.check_wanted = false;
        let reason = self
            .shared
            .need(&usage)
            .or(crossed.then_some(CleanupReason::LimitExceeded));
        if let Some(reason) = reason {
            self.submit(reason, &usage);
        }
    }

    fn submit(&self, reason: CleanupReason, usage: &Usage) {
        let order = self.shared.order(reason, usage);
        if self.shared.threads().runner.submit(order).is_none() {
            shielded(|| tracing::error!(target: "plimsoll", "no thread for a memory cleanup"));
        }
    }

    /// One warning when usage rises above the High line, and none again before it was well below.
    fn tell_level(&mut self, usage: &Usage) {
        let high_percent = self.shared.config.lines.max_memory_percent;
        let Some(percent) = usage.percent() else {
            return;
        };
        if percent > high_percent && !self.high_was_told {
            self.high_was_told = true;
            shielded(
                || tracing::warn!(target: "plimsoll", percent, high_percent, "memory is high: {usage}"),
            );
        } else if percent < high_percent - WELL_BELOW_PERCENT {
            self.high_was_told = false;
        }
    }

    /// One warning for each site that was crossed since the last look.
    fn tell_crossings(&mut self) {
        let wants_cleanup = &mut self.crossing_wants_cleanup;
        drain_crossings(|crossing| {
            *wants_cleanup |= crossing.wants_cleanup;
            shielded(|| warn(&crossing));
        });
    }
}

/// A subscriber is somebody else's code: its panic must not end the worker.
fn shielded(tell: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(tell)) {
        std::mem::forget(payload);
    }
}

fn warn(crossing: &Crossing) {
    let Some(last) = crossing.last else {
        tracing::warn!(target: "plimsoll", site = %crossing.site, scopes = crossing.scopes, "{} passed its memory limit", crossing.site);
        return;
    };
    tracing::warn!(
        target: "plimsoll",
        site = %crossing.site,
        limit_bytes = last.limit_bytes,
        used_bytes = last.used_bytes,
        scopes = crossing.scopes,
        "{} passed its memory limit of {}: {} held",
        crossing.site,
        ByteSize::bytes(last.limit_bytes),
        ByteSize::bytes(last.used_bytes),
    );
}
