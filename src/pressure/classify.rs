//! [`Classifier`]: which level holds. Pure: the clock is passed in.
//!
//! ```text
//!            used above a line, a forecast, a stall
//!   Normal ------------ at once -----------> Elevated, High, Critical
//!          <-- below its end for a while ---
//! ```

use std::time::{Duration, Instant};

use crate::pressure::burst::Burst;
use crate::pressure::forecast::Forecast;
use crate::pressure::lines::Lines;
use crate::pressure::{PressureCause, PressureChange, PressureLevel};
use crate::usage::Bound;

/// Elevated holds for so long after its last reason: a cleanup that returned much is refilled by then, or it was worth it.
const DWELL: Duration = Duration::from_millis(500);
/// So long do the levels above: work is refused there, and each moment longer than needed is lost.
const DWELL_WHERE_WORK_IS_REFUSED: Duration = Duration::from_millis(2);
/// At so little time to the limit the forecast raises Normal to Elevated: five ticks at rest.
const HORIZON: Duration = Duration::from_secs(5);
/// It does so only in the upper half below the line: a program that starts grows fast and far from its limit.
const FORECAST_FROM: f64 = 0.5;

/// The level that holds, and what it takes to leave it.
#[derive(Debug)]
pub(crate) struct Classifier {
    lines: Lines,
    burst: Burst,
    forecast: Forecast,
    level: PressureLevel,
    last: Instant,
    last_bound: Option<Bound>,
    fall: Option<Fall>,
}

/// Usage is below the end of the level.
#[derive(Clone, Copy, Debug)]
struct Fall {
    since: Instant,
    /// The highest level that a reading since then asked for.
    to: PressureLevel,
    cause: PressureCause,
}

impl Classifier {
    /// Begins at `level`, which falls as any other if nothing speaks for it.
    pub(crate) fn new(
        lines: Lines,
        burst_byte_seconds: f64,
        level: PressureLevel,
        now: Instant,
    ) -> Self {
        Classifier {
            lines,
            burst: Burst::new(burst_byte_seconds),
            forecast: Forecast::new(now),
            level,
            last: now,
            last_bound: None,
            fall: None,
        }
    }

    pub(crate) fn level(&self) -> PressureLevel {
        self.level
    }

    /// How long it will take to the limit, as of the last reading; `None` when usage does not grow, or nobody can tell.
    pub(crate) fn time_to_limit(&self) -> Option<Duration> {
        self.forecast
            .time_to_limit(self.last_bound?.headroom_bytes())
    }

    /// A reading: what binds (`None`: no limit is known), and whether the kernel says that tasks wait for memory.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        bound: Option<Bound>,
        stalled: bool,
    ) -> Option<PressureChange> {
        let elapsed = now.saturating_duration_since(self.last);
        self.last = self.last.max(now);
        if self.limit_changed(bound) {
            self.forecast.forget();
        }
        self.last_bound = bound;
        if let Some(bound) = bound {
            self.forecast.add(now, bound.used_bytes);
        }
        let is_burst = bound.is_some_and(|bound| self.is_burst(&bound, elapsed));
        let (rise, cause) = self.wanted(bound, stalled, |percent| match is_burst {
            true => PressureLevel::Normal,
            false => self.lines.level(percent),
        });
        if rise > self.level {
            return Some(self.change(rise, cause));
        }
        let holds = |percent| self.lines.level_that_holds(percent);
        let (stay, cause) = self.wanted(bound, stalled, holds);
        if stay >= self.level {
            self.fall = None;
            return None;
        }
        let fall = self.fall.get_or_insert(Fall {
            since: now,
            to: stay,
            cause,
        });
        if stay >= fall.to {
            (fall.to, fall.cause) = (stay, cause);
        }
        let Fall { since, to, cause } = *fall;
        (now.saturating_duration_since(since) >= self.dwell()).then(|| self.change(to, cause))
    }

    /// When the level will fall if nothing else is read until then.
    pub(crate) fn falls_at(&self) -> Option<Instant> {
        self.fall.map(|fall| fall.since + self.dwell())
    }

    fn dwell(&self) -> Duration {
        match self.level {
            PressureLevel::Normal | PressureLevel::Elevated => DWELL,
            PressureLevel::High | PressureLevel::Critical => DWELL_WHERE_WORK_IS_REFUSED,
        }
    }

    /// The level that a reading asks for, where `by_use` says what usage alone asks for.
    fn wanted(
        &self,
        bound: Option<Bound>,
        stalled: bool,
        by_use: impl Fn(f64) -> PressureLevel,
    ) -> (PressureLevel, PressureCause) {
        let by_use = bound.map(|bound| by_use(bound.percent()));
        match by_use {
            Some(level) if level > PressureLevel::Normal => (level, PressureCause::Used),
            _ if stalled => (PressureLevel::Elevated, PressureCause::Stalled),
            _ if self.limit_is_near() => (PressureLevel::Elevated, PressureCause::Forecast),
            Some(level) => (level, PressureCause::Used),
            None => (PressureLevel::Normal, PressureCause::LimitUnknown),
        }
    }

    fn limit_is_near(&self) -> bool {
        self.last_bound.is_some_and(|bound| {
            bound.percent() >= self.lines.elevated_percent * FORECAST_FROM
                && self.time_to_limit().is_some_and(|left| left <= HORIZON)
        })
    }

    /// Whether usage is above a line, but not the last one, and for no longer than the budget allows.
    fn is_burst(&mut self, bound: &Bound, elapsed: Duration) -> bool {
        let over_bytes = self.lines.over_bytes(bound, PressureLevel::Elevated);
        self.burst.covers(over_bytes, elapsed)
            && self.lines.level(bound.percent()) < PressureLevel::Critical
    }

    fn limit_changed(&self, bound: Option<Bound>) -> bool {
        let limit = |bound: Option<Bound>| bound.map(|bound| (bound.limit_bytes, bound.source));
        limit(self.last_bound) != limit(bound)
    }

    fn change(&mut self, to: PressureLevel, cause: PressureCause) -> PressureChange {
        let from = std::mem::replace(&mut self.level, to);
        self.fall = None;
        PressureChange {
            from,
            to,
            cause,
            bound: self.last_bound,
        }
    }
}

#[cfg(test)]
mod tests;
