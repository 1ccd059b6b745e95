//! [`History`]: what is remembered of one service.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::decide::Observation;
use crate::decide::bump::bumped_bytes;
use crate::decide::learned::Learned;
use crate::decide::vpa::Peaks;
use crate::profile::{Policy, Strategy};

/// A gap of more than this, and nobody knows what was in it: nothing fades meanwhile, and the cooldown begins anew.
pub const GAP_S: u64 = 600;
/// So long what the service last said is believed when it is silent.
const CLAIM_S: u64 = 300;
/// What a High line may be, as a part of the limit. Whoever refuses work with more than two thirds of it unused has another trouble.
pub const HIGH_RATIOS: RangeInclusive<f64> = 0.3..=1.0;
/// So many times of what there may be is not used: whoever said so was wrong.
const ABSURD: u64 = 10;
/// What was used counts half after an hour.
const USED_HALF_LIFE_S: f64 = 3600.0;
/// So long a kill is remembered that could not be answered.
const KILL_S: u64 = 3600;
/// So long a new process takes at most to come back to where the old one was.
const RUN_IN_S: u64 = 600;
/// The kernel rounds limits down to whole pages, and those can have 64 KiB.
const PAGE_BYTES: u64 = 64 << 10;

/// What is remembered of one service: under 2 KiB, and JSON for the scaler's state file.
///
/// ```
/// use plimsoll_fleet::decide::{Action, History, Observation, decide};
/// use plimsoll_fleet::profile::{Policy, Strategy};
///
/// let policy = Policy {
///     strategy: Strategy::Guide,
///     min_bytes: 512 << 20,
///     max_bytes: 3072 << 20,
///     up_percent: 80.0,
///     down_percent: 30.0,
///     factor: 1.5,
///     cooldown_s: 300,
///     priority: 0,
///     caution: 1.0,
/// };
/// let mut history = History::default();
/// let seen = Observation { at_s: 1_000, used_bytes: 900 << 20, reclaimable_bytes: None, limit_bytes: 1 << 30 };
/// history.observe(&seen, &policy);
/// let verdict = decide(&history, &policy, 1_000);
/// assert_eq!(verdict.action, Action::Grow { to_bytes: 1536 << 20 });
/// assert_eq!(verdict.reason, "900 MiB used is 88 % of 1 GiB, above 80 %: x1.5, to 1.5 GiB");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    seen: Option<Observation>,
    claim: Option<Claim>,
    /// While one is silent that has said what it could free: what was learned of its floor before, to go on from.
    #[serde(default)]
    learned_before_silence: Option<Box<Learned>>,
    kill: Option<Kill>,
    /// Since when a new process comes back to where the old one was: that climb says nothing of how fast it rises.
    #[serde(default)]
    running_in_since_s: Option<u64>,
    /// Of the limit; moved when the clock jumps.
    changed_at_s: Option<u64>,
    learned: Learned,
    /// The highest use of late: what a cache took it may take again, until it has learned of a smaller limit.
    used_peak_bytes: f64,
    high_line: Option<HighLine>,
    /// Only with [`Strategy::Vpa`].
    peaks: Option<Box<Peaks>>,
}

/// What the service last said it could free.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    pub at_s: u64,
    pub bytes: u64,
}

/// Above this part of its limit the service refuses work, it said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct HighLine {
    at_s: u64,
    ratio: f64,
}

/// What was at the limit when the kernel killed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kill {
    pub at_s: u64,
    pub limit_bytes: u64,
}

/// What was set to `bytes` may be shown as less than a page below.
pub fn is_in_force(bytes: u64, limit_bytes: u64) -> bool {
    bytes.saturating_sub(limit_bytes) < PAGE_BYTES
}

impl Kill {
    /// The limit that it asks for. More may be needed, and is no part of the answer.
    pub fn goal_bytes(&self, policy: &Policy) -> u64 {
        match policy.strategy {
            Strategy::Guide => (self.limit_bytes as f64 * policy.factor) as u64,
            _ => bumped_bytes(self.limit_bytes),
        }
    }

    /// A part of the answer, for the host had no more, is none.
    fn is_answered(&self, limit_bytes: u64, policy: &Policy) -> bool {
        let goal_bytes = self.goal_bytes(policy).min(policy.max_bytes);
        limit_bytes > self.limit_bytes && is_in_force(goal_bytes, limit_bytes)
    }
}

impl History {
    /// Takes in what was seen, unless it is absurd. The clock may have jumped either way since the last time.
    pub fn observe(&mut self, seen: &Observation, policy: &Policy) {
        let may_be_bytes = seen.limit_bytes.max(policy.max_bytes);
        if seen.used_bytes / ABSURD > may_be_bytes {
            return;
        }
        let knew = self.claim.is_some();
        let passed_s = self.pass(seen.at_s);
        if let Some(bytes) = seen.reclaimable_bytes {
            let at_s = seen.at_s;
            self.claim = Some(Claim { at_s, bytes });
        }
        if self
            .claim
            .is_some_and(|claim| seen.at_s.saturating_sub(claim.at_s) > CLAIM_S)
        {
            self.claim = None;
        }
        if self
            .high_line
            .is_some_and(|line| seen.at_s.abs_diff(line.at_s) > CLAIM_S)
        {
            self.high_line = None;
        }
        match (knew, self.claim.is_some()) {
            (false, true) => match self.learned_before_silence.take() {
                Some(before) => self.learned = *before,
                // What was learned so far was use and no floor.
                None => self.learned.forget(),
            },
            (true, false) => {
                self.learned.interrupt();
                self.learned_before_silence = Some(Box::new(self.learned.clone()));
            }
            _ => {}
        }
        if self.kill.is_some_and(|kill| {
            let age_s = seen.at_s.saturating_sub(kill.at_s);
            kill.is_answered(seen.limit_bytes, policy) || age_s > KILL_S
        }) {
            self.kill = None;
        }
        let faded = (-(passed_s as f64) / USED_HALF_LIFE_S).exp2();
        self.used_peak_bytes = (self.used_peak_bytes * faded).max(seen.used_bytes as f64);
        self.seen = Some(*seen);
        if self.is_running_in(seen, policy) {
            self.learned.interrupt();
        }
        self.learned.observe(self.floor_bytes(seen), passed_s);
        if policy.strategy == Strategy::Vpa {
            self.peaks
                .get_or_insert_with(|| Box::new(Peaks::new()))
                .observe(seen.at_s, seen.used_bytes);
        }
    }

    /// The service has the library, and says above which part of its limit it refuses work. What is needed must fit below that. Less
    /// than 0.3 or more than 1 is not believed, and nothing is for more than five minutes.
    pub fn refuses_above(&mut self, at_s: u64, ratio: f64) {
        self.high_line = Some(HighLine { at_s, ratio });
    }

    /// The kernel killed something in it. At once, not with the next observation.
    pub fn killed(&mut self, at_s: u64, limit_bytes: u64) {
        self.kill = Some(Kill { at_s, limit_bytes });
        self.learned.killed(limit_bytes);
        if let Some(before) = &mut self.learned_before_silence {
            before.killed(limit_bytes);
        }
        if let Some(peaks) = &mut self.peaks {
            peaks.killed(at_s, limit_bytes);
        }
        if let Some(seen) = &mut self.seen {
            seen.limit_bytes = limit_bytes;
        }
    }

    /// It is a new process now. Until that is where the old one was at its highest, or ten minutes are over, nothing that it takes counts
    /// as a rise.
    pub fn restarted(&mut self, at_s: u64) {
        self.running_in_since_s = Some(at_s);
    }

    /// What a further process of the same service begins with. A kill asks for a limit of the one that was killed, and the climb of a new
    /// process is no rise.
    pub fn of_replica(&self, at_s: u64) -> History {
        History {
            kill: None,
            running_in_since_s: Some(at_s),
            ..self.clone()
        }
    }

    /// A new limit is in force.
    pub fn resized(&mut self, at_s: u64, to_bytes: u64) {
        self.changed_at_s = Some(at_s);
        if let Some(seen) = &mut self.seen {
            seen.limit_bytes = to_bytes;
        }
    }

    /// As [`Observation::used_bytes`] and the claim that is believed have it.
    pub(crate) fn floor_bytes(&self, seen: &Observation) -> u64 {
        let claimed = self.claim.map_or(0, |claim| claim.bytes);
        seen.used_bytes.saturating_sub(claimed)
    }

    /// When it was looked at last.
    pub fn seen_at_s(&self) -> Option<u64> {
        self.seen.map(|seen| seen.at_s)
    }

    pub(crate) fn seen(&self) -> Option<&Observation> {
        self.seen.as_ref()
    }

    pub(crate) fn claim(&self) -> Option<Claim> {
        self.claim
    }

    pub(crate) fn used_peak_bytes(&self) -> u64 {
        self.used_peak_bytes as u64
    }

    /// 1 where nothing is refused.
    pub(crate) fn high_ratio(&self) -> f64 {
        let ratio = self.high_line.map(|line| line.ratio);
        // Also what a state file says.
        ratio
            .filter(|ratio| HIGH_RATIOS.contains(ratio))
            .unwrap_or(1.0)
    }

    /// The last one, unless the answer is in force.
    pub(crate) fn kill(&self, policy: &Policy) -> Option<Kill> {
        let limit_bytes = self.seen.map(|seen| seen.limit_bytes)?;
        self.kill
            .filter(|kill| !kill.is_answered(limit_bytes, policy))
    }

    pub(crate) fn changed_at_s(&self) -> Option<u64> {
        self.changed_at_s
    }

    pub(crate) fn learned(&self) -> &Learned {
        &self.learned
    }

    pub(crate) fn peaks(&self) -> Option<&Peaks> {
        self.peaks.as_deref()
    }

    /// What this takes in memory.
    pub fn memory_bytes(&self) -> usize {
        let peaks = self.peaks.as_ref();
        let before = self.learned_before_silence.as_ref();
        size_of::<History>()
            + before.map_or(0, |_| size_of::<Learned>())
            + peaks.map_or(0, |peaks| size_of::<Peaks>() + peaks.heap_bytes())
    }

    fn is_running_in(&mut self, seen: &Observation, policy: &Policy) -> bool {
        let Some(since_s) = self.running_in_since_s else {
            return false;
        };
        // The clock may have been ahead when it started.
        let since_s = since_s.min(seen.at_s);
        self.running_in_since_s = Some(since_s);
        let need = self.learned.need(policy);
        let peak_bytes = need.bytes - need.margin_bytes;
        let is_over = self.floor_bytes(seen) as f64 > peak_bytes;
        if is_over || seen.at_s - since_s > RUN_IN_S {
            self.running_in_since_s = None;
        }
        // The look that ends it still compares with the climb.
        true
    }

    /// How long nobody looked; after a jump of the clock all that is remembered moves to where the clock is now.
    fn pass(&mut self, now_s: u64) -> u64 {
        let Some(before) = &self.seen else {
            return 0;
        };
        let passed_s = now_s.checked_sub(before.at_s);
        if let Some(passed_s) = passed_s.filter(|passed_s| *passed_s <= GAP_S) {
            // What was said by a clock that was ahead.
            self.changed_at_s = self.changed_at_s.map(|at_s| at_s.min(now_s));
            if let Some(kill) = &mut self.kill {
                kill.at_s = kill.at_s.min(now_s);
            }
            return passed_s;
        }
        self.changed_at_s = self.changed_at_s.map(|_| now_s);
        self.claim = None;
        if let Some(kill) = &mut self.kill {
            kill.at_s = now_s;
        }
        0
    }
}
