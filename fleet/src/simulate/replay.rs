//! [`replay`]: one pod, one policy, and what it cost.

use crate::decide::{Action, History, Observation, decide};
use crate::profile::{Policy, Strategy};
use crate::simulate::Pod;

/// Any moment will do; 0 is not one.
const EPOCH_S: u64 = 1_700_000_000;
const GIB: f64 = (1u64 << 30) as f64;

/// What a replay cost. They add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Rows with more used than the limit that was decided from the rows before.
    pub oom_steps: u64,
    pub oom_seconds: u64,
    /// Rows in a row are one kill.
    pub oom_kills: u64,
    /// First rows above the limit that the replay began with: no strategy had a say in it, and they are not in the others.
    pub oom_at_start: u64,
    pub resizes: u64,
    /// Limit less used, over time.
    pub slack_gib_hours: f64,
    pub used_gib_hours: f64,
    /// The same in parts of the published limit and rows, so that each pod counts alike.
    pub slack_rows: f64,
    pub used_rows: f64,
}

impl Score {
    pub fn add(&mut self, other: &Score) {
        self.oom_steps += other.oom_steps;
        self.oom_seconds += other.oom_seconds;
        self.oom_kills += other.oom_kills;
        self.oom_at_start += other.oom_at_start;
        self.resizes += other.resizes;
        self.slack_gib_hours += other.slack_gib_hours;
        self.used_gib_hours += other.used_gib_hours;
        self.slack_rows += other.slack_rows;
        self.used_rows += other.used_rows;
    }

    /// What was allocated in vain, for each byte that was used.
    pub fn slack_ratio(&self) -> f64 {
        self.slack_rows / self.used_rows.max(f64::MIN_POSITIVE)
    }
}

/// The guide's figures, and limits from 0.05 to 2 times what was published.
pub fn policy(strategy: Strategy, caution: f64, published_bytes: u64) -> Policy {
    Policy {
        strategy,
        min_bytes: published_bytes / 20,
        max_bytes: published_bytes.saturating_mul(2),
        up_percent: 80.0,
        down_percent: 30.0,
        factor: 1.5,
        cooldown_s: 300,
        priority: 0,
        caution,
    }
}

/// Row by row: is the limit enough, then what the strategy makes of the row.
pub fn replay(pod: &Pod, policy: &Policy, start: f64) -> Score {
    let mut score = Score::default();
    let mut history = History::default();
    let published = pod.published_bytes as f64;
    let mut limit_bytes = (published * start) as u64;
    let step_s = pod.step_s();
    let hours = step_s as f64 / 3600.0;
    let mut killed_before = false;
    for (row, sample) in pod.samples.iter().enumerate() {
        let at_s = EPOCH_S + sample.second;
        let killed = sample.used_bytes > limit_bytes;
        if killed && row == 0 {
            score.oom_at_start += 1;
        } else if killed {
            score.oom_steps += 1;
            score.oom_seconds += step_s;
            score.oom_kills += u64::from(!killed_before);
        }
        killed_before = killed;
        let slack = limit_bytes.saturating_sub(sample.used_bytes) as f64;
        score.slack_gib_hours += slack / GIB * hours;
        score.used_gib_hours += sample.used_bytes as f64 / GIB * hours;
        score.slack_rows += slack / published;
        score.used_rows += sample.used_bytes as f64 / published;

        let seen = Observation {
            at_s,
            used_bytes: sample.used_bytes,
            reclaimable_bytes: sample.reclaimable_bytes,
            limit_bytes,
        };
        history.observe(&seen, policy);
        if killed {
            history.killed(at_s, limit_bytes);
        }
        let (Action::Grow { to_bytes } | Action::Shrink { to_bytes }) =
            decide(&history, policy, at_s).action
        else {
            continue;
        };
        history.resized(at_s, to_bytes);
        limit_bytes = to_bytes;
        score.resizes += 1;
    }
    score
}
