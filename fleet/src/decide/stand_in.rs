//! STAND-IN until the branch w-f2 is merged: the pinned signatures with the guide's thresholds only. To be removed.

use serde::{Deserialize, Serialize};

use crate::decide::{Action, Alert, Observation, Verdict};
use crate::profile::{Policy, Strategy};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    used_bytes: u64,
    limit_bytes: u64,
    resized_at_s: Option<u64>,
    killed_at_bytes: Option<u64>,
}

impl History {
    pub fn observe(&mut self, seen: &Observation, _policy: &Policy) {
        self.used_bytes =
            seen.used_bytes - seen.reclaimable_bytes.unwrap_or(0).min(seen.used_bytes);
        self.limit_bytes = seen.limit_bytes;
    }

    pub fn killed(&mut self, _at_s: u64, limit_bytes: u64) {
        self.killed_at_bytes = Some(limit_bytes);
        self.limit_bytes = limit_bytes;
    }

    pub fn resized(&mut self, at_s: u64, _from_bytes: u64, to_bytes: u64) {
        self.resized_at_s = Some(at_s);
        self.killed_at_bytes = None;
        self.limit_bytes = to_bytes;
    }
}

pub fn decide(history: &History, policy: &Policy, now_s: u64) -> Verdict {
    let hold = |reason: &str, alert| Verdict {
        action: Action::Hold,
        reason: reason.to_owned(),
        alert,
    };
    if policy.strategy == Strategy::Fixed {
        return hold("fixed", None);
    }
    let cools = history
        .resized_at_s
        .is_some_and(|at| now_s < at + policy.cooldown_s);
    if cools && history.killed_at_bytes.is_none() {
        return hold("cooling down", None);
    }
    let percent = history.used_bytes as f64 / history.limit_bytes as f64 * 100.0;
    if history.killed_at_bytes.is_some() || percent > policy.up_percent {
        if history.limit_bytes >= policy.max_bytes {
            return hold("has its maximum", Some(Alert::AtMaximum));
        }
        let to_bytes = (history.limit_bytes as f64 * policy.factor) as u64;
        return Verdict {
            action: Action::Grow {
                to_bytes: to_bytes.min(policy.max_bytes),
            },
            reason: format!("{percent:.0} % of the limit used"),
            alert: None,
        };
    }
    let to_bytes = (history.limit_bytes as f64 / policy.factor) as u64;
    let to_bytes = to_bytes.max(policy.min_bytes);
    if percent < policy.down_percent && to_bytes < history.limit_bytes {
        return Verdict {
            action: Action::Shrink { to_bytes },
            reason: format!("{percent:.0} % of the limit used"),
            alert: None,
        };
    }
    hold("between the thresholds", None)
}

pub struct Wanted<'a> {
    pub service: &'a str,
    pub limit_bytes: u64,
    pub priority: i32,
    pub verdict: Verdict,
}

pub fn share(wanted: &mut [Wanted<'_>], budget_bytes: u64) {
    let sum: u64 = wanted.iter().map(|one| one.limit_bytes).sum();
    let mut left = budget_bytes.saturating_sub(sum);
    let mut order: Vec<_> = wanted.iter_mut().collect();
    order.sort_by_key(|one| -one.priority);
    for one in order {
        if let Action::Grow { to_bytes } = one.verdict.action {
            let more = (to_bytes - one.limit_bytes).min(left);
            if more < to_bytes - one.limit_bytes {
                one.verdict.alert = Some(Alert::HostFull);
            }
            one.verdict.action = match more {
                0 => Action::Hold,
                _ => Action::Grow {
                    to_bytes: one.limit_bytes + more,
                },
            };
            left -= more;
        }
    }
}
