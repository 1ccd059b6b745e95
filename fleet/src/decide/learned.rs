//! [`Learned`]: what a service's floor did so far, in a few numbers.

use serde::{Deserialize, Serialize};

use crate::profile::Policy;

/// A peak counts half after a week.
const PEAK_HALF_LIFE_S: f64 = 7.0 * 86_400.0;
/// A rise counts half after two days, and its proportion after six.
const RISE_HALF_LIFE_S: f64 = 2.0 * 86_400.0;
const RATIO_HALF_LIFE_S: f64 = 6.0 * 86_400.0;
/// What was watched for 47 minutes is half as likely to surprise.
const SURPRISE_HALF_LIFE_S: f64 = 2850.0;
/// Of the peak, whatever it did.
const LEAST: f64 = 0.008;
/// Of the maximum, above the peak, for one that is not known at all.
const NEWCOMER_PART: f64 = 0.12;
/// Of the maximum, above what is there now, for what never happened: six quiet hours are no proof that nothing will.
const RESERVE_PART: f64 = 0.06;
/// The reserve halves in seven hours.
const RESERVE_HALF_LIFE_S: f64 = 7.0 * 3600.0;
/// With caution it grows by a little more than the root: what it guards against is rare.
const RESERVE_CAUTION: f64 = 0.53;
/// More of what was the largest rise: the next one may be larger.
const RISES: f64 = 1.8;
/// Of the maximum: one step up is no habit, and what rose by so much at once need not do it again from there.
const RISE_AT_MOST_PART: f64 = 0.03;
/// Of the peak, times the square of the largest rise in proportion: what is small and jumps by half of itself may well triple.
const PROPORTION: f64 = 2.0;
/// Of the maximum: what is large does not double.
const JUMP_PART: f64 = 0.05;
/// With caution that grows by its fourth root, and to no more than so many times as much.
const JUMP_CAUTION: f64 = 0.25;
const JUMP_CAUTION_AT_MOST: f64 = 1.7;
/// Below this a rise is not set into proportion: from nearly nothing everything is a large multiple.
const SMALL_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

/// What a service's floor did so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    floor_bytes: Option<f64>,
    /// The highest floor.
    peak_bytes: f64,
    /// The highest limit that was too little; part of the peak.
    #[serde(default)]
    killed_bytes: f64,
    /// The largest rise from one look to the next.
    rise_bytes: f64,
    /// The largest rise as a part of what was there before.
    rise_ratio: f64,
    watched_s: u64,
}

/// How much is needed, and what the largest part of the margin is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    pub bytes: f64,
    /// The same without what is only there because it is little known.
    pub shown_bytes: f64,
    pub margin_bytes: f64,
    pub margin_for: MarginFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarginFor {
    Least,
    Newcomer,
    Rise,
    Reserve,
    Proportion,
}

impl Learned {
    pub fn observe(&mut self, floor_bytes: u64, passed_s: u64) {
        let floor_bytes = floor_bytes as f64;
        let faded = |half_life_s: f64| (-(passed_s as f64) / half_life_s).exp2();
        self.watched_s = self.watched_s.saturating_add(passed_s);
        self.rise_bytes *= faded(RISE_HALF_LIFE_S);
        self.rise_ratio *= faded(RATIO_HALF_LIFE_S);
        let peak_bytes = self.peak_bytes * faded(PEAK_HALF_LIFE_S);
        self.killed_bytes *= faded(PEAK_HALF_LIFE_S);
        // What rose while nobody looked, or in a process that is new, says nothing about how fast it rises.
        if let Some(before_bytes) = self.floor_bytes.filter(|_| passed_s > 0) {
            let rise_bytes = (floor_bytes - before_bytes).max(0.0);
            self.rise_bytes = self.rise_bytes.max(rise_bytes);
            let ratio = rise_bytes / before_bytes.max(SMALL_BYTES);
            self.rise_ratio = self.rise_ratio.max(ratio);
        }
        self.peak_bytes = peak_bytes.max(floor_bytes);
        self.floor_bytes = Some(floor_bytes);
    }

    /// It needed more than the limit, and is a new process now.
    pub fn killed(&mut self, limit_bytes: u64) {
        self.killed_bytes = self.killed_bytes.max(limit_bytes as f64);
        self.peak_bytes = self.peak_bytes.max(self.killed_bytes);
        self.floor_bytes = None;
    }

    /// What comes next can't be compared with what was before.
    pub fn interrupt(&mut self) {
        self.floor_bytes = None;
    }

    /// Keeps nothing but for how long it has been watched, and what was too little.
    pub fn forget(&mut self) {
        self.floor_bytes = None;
        self.peak_bytes = self.killed_bytes;
        (self.rise_bytes, self.rise_ratio) = (0.0, 0.0);
    }

    /// What the limit should be: the peak, or what is there now and one rise or the reserve more, and a margin.
    pub fn need(&self, policy: &Policy) -> Need {
        let caution = policy.caution;
        let peak_bytes = self.peak_bytes;
        let floor_bytes = self.floor_bytes.unwrap_or(peak_bytes);
        let max_bytes = policy.max_bytes as f64;
        let unwatched = |half_life_s: f64| (-(self.watched_s as f64) / half_life_s).exp2();
        let newcomer_bytes = NEWCOMER_PART * max_bytes * unwatched(SURPRISE_HALF_LIFE_S);
        let reserve_bytes = RESERVE_PART
            * max_bytes
            * caution.powf(RESERVE_CAUTION)
            * unwatched(RESERVE_HALF_LIFE_S);
        let squared = PROPORTION * caution * self.rise_ratio * self.rise_ratio;
        let at_most_bytes = peak_bytes.min(JUMP_PART * max_bytes)
            * caution.powf(JUMP_CAUTION).min(JUMP_CAUTION_AT_MOST);
        let proportion_bytes = (peak_bytes * squared).min(at_most_bytes);
        let rise_bytes = (RISES * self.rise_bytes).min(RISE_AT_MOST_PART * max_bytes);
        let above_peak_bytes = |bytes: f64| floor_bytes + bytes - peak_bytes;
        let margins = [
            (LEAST * peak_bytes, MarginFor::Least),
            (newcomer_bytes, MarginFor::Newcomer),
            (above_peak_bytes(rise_bytes), MarginFor::Rise),
            (above_peak_bytes(reserve_bytes), MarginFor::Reserve),
            (proportion_bytes, MarginFor::Proportion),
        ];
        let shown = margins
            .iter()
            .filter(|(_, margin_for)| *margin_for != MarginFor::Newcomer);
        let shown_bytes = shown.map(|(bytes, _)| *bytes).fold(0.0, f64::max);
        let largest = margins.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        let (margin_bytes, margin_for) = largest.unwrap_or((0.0, MarginFor::Least));
        Need {
            bytes: peak_bytes + margin_bytes,
            shown_bytes: peak_bytes + shown_bytes,
            margin_bytes,
            margin_for,
        }
    }

    pub fn watched_s(&self) -> u64 {
        self.watched_s
    }

    pub fn rise_bytes(&self) -> f64 {
        self.rise_bytes
    }
}
