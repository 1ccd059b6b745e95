//! The worker: takes readings, answers the bell, decides. It calls no hook; what it decides, the runner does.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bytes::ByteSize;
use crate::cleanup::{CleanupReason, Order, Unused};
use crate::manager::churn::Churn;
use crate::manager::lasting::Lasting;
use crate::manager::need;
use crate::manager::shared::Shared;
use crate::manager::warned::{Tell, Warned};
use crate::meter::{self, ring};
use crate::pressure::{Classifier, Pace, PressureChange, PressureLevel};
use crate::scope::{Crossing, drain_crossings};
use crate::sys::wake::shielded;
use crate::usage::Usage;

/// Looks that are asked for come at most this often: one takes 40 to 200 us beside a busy program.
const LOOK_SPACING: Duration = Duration::from_millis(1);
/// Slow facts are taken anew when they are older than this: beside a busy program they are more than half of what a look costs.
pub(super) const FRESH: Duration = Duration::from_millis(5);
/// Checks that counters request are answered at most this often.
const CHECK_SPACING: Duration = Duration::from_millis(100);
/// For so long a report that tasks wait for memory speaks for itself: the kernel looks at windows of two seconds.
const STALL_HOLDS: Duration = Duration::from_secs(2);
/// Without a cleanup for so long it is quiet.
const QUIET_AFTER: Duration = Duration::from_millis(100);
/// At most one warning per site in this time.
const WARNING_SPACING: Duration = Duration::from_secs(1);
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
    classifier: Classifier,
    pace: Pace,
    churn: Churn,
    next_tick: Instant,
    next_look: Instant,
    next_check: Instant,
    next_warning: Instant,
    /// When the hook under way must have returned.
    hook_deadline: Option<Instant>,
    check_wanted: bool,
    crossings_wait: bool,
    crossing_wants_cleanup: bool,
    /// As of the last look, and when it was seen to be another.
    cleanups_total: u64,
    last_cleanup: Instant,
    lasting: Lasting,
    warned: Warned,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = Instant::now();
        let config = &shared.config;
        Worker {
            shared,
            // A forked child goes on from where its parent was.
            classifier: Classifier::new(
                config.lines,
                config.burst_byte_seconds,
                shared.watch().level(),
                now,
            ),
            pace: Pace::new(),
            churn: Churn::default(),
            next_tick: now,
            next_look: now,
            next_check: now,
            next_warning: now,
            hook_deadline: None,
            check_wanted: false,
            crossings_wait: false,
            crossing_wants_cleanup: false,
            cleanups_total: 0,
            last_cleanup: now,
            lasting: Lasting::default(),
            warned: Warned::default(),
        }
    }

    fn run(mut self) {
        meter::exempt_this_thread();
        loop {
            let now = Instant::now();
            let timeout = self.wake_at(now).saturating_duration_since(now);
            // What is not due yet waits in the bell: whoever rings all the time then rings for nothing.
            let bits = self.shared.bell.wait(timeout, self.postponed(now));
            if bits & ring::STOP != 0 {
                return;
            }
            self.check_wanted |= bits & ring::CHECK != 0;
            self.crossings_wait |= bits & ring::EXCEEDED != 0;
            let now = Instant::now();
            self.hook_deadline = self.shared.threads().runner.supervise(now);
            if bits & ring::CLEAN != 0 {
                let usage = self.shared.usage();
                self.submit(self.shared.order(CleanupReason::Forced, &usage));
            }
            if self.crossings_wait && now >= self.next_warning {
                self.crossings_wait = false;
                self.next_warning = now + WARNING_SPACING;
                self.tell_crossings();
            }
            if bits & ring::LOOK != 0 || now >= self.next_tick {
                self.look(now);
            }
            if self.wants_check() && now >= self.next_check {
                self.check(now);
            }
        }
    }

    /// Measures usage, says which level that is, and starts a cleanup if one is needed.
    fn look(&mut self, now: Instant) {
        let usage = self.shared.look(FRESH);
        self.shared.listen(&usage);
        let stalled = self.shared.notices().stalled_within(STALL_HOLDS);
        let change = self.classifier.observe(now, usage.binding, stalled);
        let level = self.classifier.level();
        self.shared
            .set_time_to_limit(self.classifier.time_to_limit());
        if let Some(change) = change {
            self.shared.watch().set(change);
        }
        if let Some(tell) = self.warned.observe(now, change) {
            tell_pressure(&tell, &usage);
        }
        // After the level: whether anything may be promised depends on it.
        self.shared.pool().look();
        let is_quiet = self.is_quiet(now);
        let churn_bytes = self.churn.bytes(now);
        self.shared.set_churn_bytes(churn_bytes);
        let config = &self.shared.config;
        let order = |usage| need::by_itself(config, usage, churn_bytes, level, is_quiet);
        if order(&usage).is_some() && self.may_clean_by_itself(now, &usage) {
            // What is reckoned is a reason to look closer; an epoch decides.
            let usage = self.shared.look(now.elapsed());
            if let Some(order) = order(&usage) {
                self.learn(now, order, &usage, is_quiet);
                self.submit(order);
            }
        }
        self.set_decay(now, level, &usage);
        let (used_bytes, left_bytes) = usage.binding.map_or((0, u64::MAX), |bound| {
            let to_next_line = self.shared.config.lines.left_to_next_bytes(&bound);
            let left_bytes = to_next_line.unwrap_or(bound.headroom_bytes());
            (bound.used_bytes, left_bytes)
        });
        let active_bytes = usage.heap.map_or(0, |heap| heap.active_bytes);
        let tick = self
            .pace
            .next(now, level, used_bytes, active_bytes, left_bytes);
        self.next_look = now + LOOK_SPACING;
        let next_tick = now + tick;
        self.next_tick = self
            .classifier
            .falls_at()
            .map_or(next_tick, |falls_at| falls_at.clamp(now, next_tick));
    }

    /// Whether no cleanup has ended for a while.
    fn is_quiet(&mut self, now: Instant) -> bool {
        let total = self.shared.cleanups_total.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.cleanups_total, total) != total {
            self.last_cleanup = now;
        }
        now.saturating_duration_since(self.last_cleanup) >= QUIET_AFTER
    }

    /// Unused pages that go back in the midst of work are missed there.
    fn learn(&mut self, now: Instant, order: Order, usage: &Usage, is_quiet: bool) {
        if let Some(bound) = usage.binding
            && order.purge > Unused::None
            && !is_quiet
        {
            self.churn
                .purged(now, usage.unused_bytes, bound.limit_bytes);
            self.shared.set_churn_bytes(self.churn.bytes(now));
        }
    }

    fn may_clean_by_itself(&self, now: Instant, usage: &Usage) -> bool {
        let runner = &self.shared.threads().runner;
        !runner.is_busy() && runner.has_rested(now, usage)
    }

    /// Pages that the program frees go back sooner once pressure has lasted, and as before when it is over.
    fn set_decay(&mut self, now: Instant, level: PressureLevel, usage: &Usage) {
        if !self.shared.config.reactions.faster_decay || !meter::is_installed(&self.shared.bell) {
            return;
        }
        let is_churning = need::is_churning(usage, self.churn.bytes(now));
        if self.lasting.observe(now, level, is_churning) {
            self.shared.decay.hasten();
        } else {
            self.shared.decay.restore();
        }
    }

    fn wants_check(&self) -> bool {
        self.check_wanted || self.crossing_wants_cleanup
    }

    fn postponed(&self, now: Instant) -> u32 {
        let check = ring::CHECK * u32::from(now < self.next_check);
        let look = ring::LOOK * u32::from(now < self.next_look);
        check | look
    }

    /// The earliest of what waits.
    fn wake_at(&self, now: Instant) -> Instant {
        let check = (self.wants_check() || now < self.next_check).then_some(self.next_check);
        let look = (now < self.next_look).then_some(self.next_look);
        let warning = self.crossings_wait.then_some(self.next_warning);
        [check, look, warning, self.hook_deadline]
            .into_iter()
            .flatten()
            .fold(self.next_tick, Instant::min)
    }

    /// Looks whether a cleanup is needed that somebody asked for, and has the runner do it.
    fn check(&mut self, now: Instant) {
        self.next_check = now + CHECK_SPACING;
        if !self.may_clean_by_itself(now, &self.shared.usage()) {
            return;
        }
        let usage = self.shared.look(Duration::ZERO);
        let crossed = std::mem::take(&mut self.crossing_wants_cleanup);
        self.check_wanted = false;
        let reason = self
            .shared
            .need(&usage)
            .or(crossed.then_some(CleanupReason::LimitExceeded));
        if let Some(reason) = reason {
            self.submit(self.shared.order(reason, &usage));
        }
    }

    fn submit(&self, order: Order) {
        if self.shared.threads().runner.submit(order).is_none() {
            shielded(|| tracing::error!(target: "plimsoll", "no thread for a memory cleanup"));
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

/// A warning when the level has risen to High or beyond, and word when all is well again.
fn tell_pressure(tell: &Tell, usage: &Usage) {
    let used_bytes = usage.used_bytes;
    let limit_bytes = usage.limit.bytes;
    let used_ratio = usage.percent().map(|percent| percent / 100.0);
    shielded(|| match tell {
        Tell::Rise(PressureChange { to, cause, .. }) => tracing::warn!(
            target: "plimsoll",
            pressure_level = %to,
            cause = %cause,
            used_bytes,
            limit_bytes,
            used_ratio,
            "memory is {to}: {usage}"
        ),
        Tell::Over => tracing::info!(
            target: "plimsoll",
            pressure_level = %PressureLevel::Normal,
            used_bytes,
            limit_bytes,
            used_ratio,
            "memory is {} again: {usage}",
            PressureLevel::Normal
        ),
    });
}

fn warn(crossing: &Crossing) {
    let last = crossing.last;
    let figures = last.map(|last| {
        let [limit, held] = [last.limit_bytes, last.used_bytes].map(ByteSize::bytes);
        format!(" of {limit}: {held} held")
    });
    tracing::warn!(
        target: "plimsoll",
        site = crossing.site.label(),
        scope_limit_bytes = last.map(|last| last.limit_bytes),
        scope_held_bytes = last.map(|last| last.used_bytes),
        scopes = crossing.scopes,
        "{} passed its memory limit{}",
        crossing.site,
        figures.unwrap_or_default()
    );
}
