//! [`Policy`]: how one service is scaled.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::profile::fields::{At, Fields};
use crate::profile::problem::Problems;
use crate::profile::read::PolicyDraft;

/// How one service is scaled. The first six are the guide's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub strategy: Strategy,
    pub min_bytes: u64,
    pub max_bytes: u64,
    /// Grow above so many percent of the limit (`Strategy::Guide`).
    pub up_percent: f64,
    /// Shrink below so many percent of the limit (`Strategy::Guide`).
    pub down_percent: f64,
    /// By how much (`Strategy::Guide`).
    pub factor: f64,
    /// After a change nothing changes for so long, a kill excepted; `Strategy::Vpa` and `Strategy::Floor` wait only to shrink.
    pub cooldown_s: u64,
    /// Who waits when the host's budget is short: the lower number does.
    pub priority: i32,
    /// The one setting along the front between kills and slack; see `plimsoll simulate`.
    pub caution: f64,
}

impl Policy {
    /// The guide's thresholds, factor and cooldown between these bounds, with the default strategy.
    pub fn between(min_bytes: u64, max_bytes: u64) -> Policy {
        Policy {
            strategy: Strategy::default(),
            min_bytes,
            max_bytes,
            up_percent: 80.0,
            down_percent: 30.0,
            factor: 1.5,
            cooldown_s: 300,
            priority: 0,
            caution: 1.0,
        }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The limit stays as it is.
    Fixed,
    /// Thresholds and a factor, as in the guide.
    Guide,
    /// As Kubernetes' recommender: a percentile of a decaying histogram, and a margin.
    Vpa,
    /// Ours: the floor, learned peaks, safe steps.
    #[default]
    Floor,
}

/// What `caution` may be; more is no other limit, and less none at all.
pub const CAUTION: RangeInclusive<f64> = 0.01..=100.0;
/// 30 days. Clocks that add more to now may end.
const MOST_COOLDOWN_S: i64 = 30 * 24 * 60 * 60;

const KNOWN: &[&str] = &[
    "strategy", "min", "max", "up", "down", "factor", "cooldown", "priority", "caution",
];

/// What is not said is as in [`Policy::between`].
pub(super) fn read_policy(fields: &Fields<'_>, problems: &mut Problems<'_>) -> PolicyDraft {
    fields.only(KNOWN, problems);
    fields.need("min", "\"512MB\"", problems);
    fields.need("max", "\"3072MB\"", problems);
    let min = fields.size("min", problems);
    let max = fields.size("max", problems);
    let value = |size: &Option<At<u64>>| size.as_ref().map_or(0, |size| size.value);
    let mut policy = Policy::between(value(&min), value(&max));

    if let Some(strategy) = fields.text("strategy", problems) {
        match STRATEGIES.iter().find(|(name, _)| *name == strategy.value) {
            Some((_, known)) => policy.strategy = *known,
            None => problems.error(
                strategy.at,
                format!(
                    "{}.strategy: there is no strategy {:?}; there are {}",
                    fields.path(),
                    strategy.value,
                    STRATEGIES.map(|(name, _)| name).join(", ")
                ),
            ),
        }
    }
    let percent = "a number above 0 and at most 100";
    let is_percent = |number: f64| number > 0.0 && number <= 100.0;
    let up = fields.number("up", percent, is_percent, problems);
    let down = fields.number("down", percent, is_percent, problems);
    let growth = "a number above 1 and at most 100";
    let is_growth = |number: f64| number > 1.0 && number <= 100.0;
    let factor = fields.number("factor", growth, is_growth, problems);
    let seconds = "whole seconds from 0 to 2592000, which are 30 days";
    let is_cooldown = |seconds: i64| (0..=MOST_COOLDOWN_S).contains(&seconds);
    let cooldown = fields.integer("cooldown", seconds, is_cooldown, problems);
    let whole = "a whole number";
    let fits = |it: i64| i32::try_from(it).is_ok();
    let priority = fields.integer("priority", whole, fits, problems);
    let is_caution = |number: f64| CAUTION.contains(&number);
    let wanted = format!("a number from {} to {}", CAUTION.start(), CAUTION.end());
    let caution = fields.number("caution", &wanted, is_caution, problems);
    let set = |to: &mut f64, number: &Option<At<f64>>| {
        if let Some(number) = number {
            *to = number.value;
        }
    };
    set(&mut policy.up_percent, &up);
    set(&mut policy.down_percent, &down);
    set(&mut policy.factor, &factor);
    set(&mut policy.caution, &caution);
    if let Some(cooldown) = cooldown {
        policy.cooldown_s = cooldown.value.unsigned_abs();
    }
    if let Some(priority) = priority {
        policy.priority = priority.value as i32;
    }
    PolicyDraft {
        min,
        max,
        up,
        down,
        at: fields.at(),
        policy,
    }
}

const STRATEGIES: [(&str, Strategy); 4] = [
    ("fixed", Strategy::Fixed),
    ("guide", Strategy::Guide),
    ("vpa", Strategy::Vpa),
    ("floor", Strategy::Floor),
];
