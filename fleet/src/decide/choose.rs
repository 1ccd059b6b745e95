//! [`decide`]: asks the strategy, and binds what it wishes.

use crate::decide::history::{GAP_S, is_in_force};
use crate::decide::wish::Wish;
use crate::decide::{Action, Alert, History, Observation, Verdict, floor, guide};
use crate::profile::{Policy, Strategy};
use crate::size::human;

/// Limits are whole MiB, except where the policy's bounds are not.
const STEP_BYTES: u64 = 1 << 20;
/// A limit that could be so much smaller and no more stays.
const WORTH_SHRINKING: f64 = 0.98;
/// No step takes more than half of the limit away.
const SHRINK_AT_MOST: f64 = 0.5;
/// What stays above the bytes that were used of late when a limit shrinks: half a percent, and at least 1 MiB.
const MARGIN: f64 = 0.005;
const LEAST_MARGIN_BYTES: u64 = 1 << 20;
/// Nothing shrinks before it was watched for so long.
const FIRST_S: u64 = 60;

/// What shall be done with the limit of one service, and why.
///
/// A kill is answered at once, and without regard to the clock. Everything else needs an observation that is younger than ten minutes
/// and not of the future. The guide's cooldown is for both directions; the others grow when they have to and wait only to shrink.
pub fn decide(history: &History, policy: &Policy, now_s: u64) -> Verdict {
    let Some(seen) = history.seen() else {
        return Verdict::hold("nothing was seen of it yet");
    };
    if policy.strategy == Strategy::Fixed {
        return Verdict::hold(format!("its limit is fixed at {}", human(seen.limit_bytes)));
    }
    if let Some(nonsense) = nonsense(policy) {
        return Verdict::hold(nonsense);
    }
    let kill = history.kill(policy);
    if kill.is_none()
        && let Some(untimely) = untimely(seen, now_s)
    {
        return Verdict::hold(untimely);
    }
    let wish = match policy.strategy {
        Strategy::Guide => guide::wish(seen, kill, policy),
        Strategy::Vpa => recommended(history, seen, kill.is_some()),
        Strategy::Floor | Strategy::Fixed => floor::wish(history, seen, kill, policy),
    };
    Verdict {
        after_kill: kill.is_some(),
        ..bind(wish, history, seen, policy, now_s)
    }
}

fn recommended(history: &History, seen: &Observation, was_killed: bool) -> Wish {
    let recommended = history.peaks().and_then(|peaks| peaks.recommended_bytes());
    let Some(to_bytes) = recommended else {
        return Wish {
            to_bytes: seen.limit_bytes,
            pressing: false,
            reason: "no peak was seen yet".to_owned(),
        };
    };
    Wish {
        to_bytes,
        pressing: was_killed,
        reason: format!("90 % of the peaks and 15 % more are {}", human(to_bytes)),
    }
}

/// Minimum, maximum, cooldown, and steps that are safe.
fn bind(wish: Wish, history: &History, seen: &Observation, policy: &Policy, now_s: u64) -> Verdict {
    let Wish {
        to_bytes,
        pressing,
        reason,
    } = wish;
    let limit_bytes = seen.limit_bytes;
    let bounded_bytes = whole(to_bytes).clamp(policy.min_bytes, policy.max_bytes);
    let waits_s = waits_s(history, policy, now_s);
    if !is_in_force(bounded_bytes, limit_bytes) {
        if policy.strategy == Strategy::Guide && waits_s > 0 && history.kill(policy).is_none() {
            return Verdict::hold(format!("{reason}, after {waits_s} s more of cooldown"));
        }
        let to = human(bounded_bytes);
        let bound = bound_by(to_bytes, bounded_bytes);
        return Verdict {
            action: Action::Grow {
                to_bytes: bounded_bytes,
            },
            reason: format!("{reason}, to {to}{bound}"),
            alert: None,
            after_kill: false,
        };
    }
    if pressing && is_in_force(policy.max_bytes, limit_bytes) {
        return Verdict {
            action: Action::Hold,
            reason: format!(
                "{reason}; it has its maximum of {}",
                human(policy.max_bytes)
            ),
            alert: Some(Alert::AtMaximum),
            after_kill: false,
        };
    }
    let kept_bytes = match policy.strategy {
        Strategy::Floor => history.used_peak_bytes().max(seen.used_bytes),
        _ => seen.used_bytes,
    };
    let margin_bytes = ((kept_bytes as f64 * MARGIN) as u64).max(LEAST_MARGIN_BYTES);
    // Its High line is for who carries it out: above that now, it is asked to clean up, and what it uses then decides.
    let safe_bytes = whole(kept_bytes.saturating_add(margin_bytes));
    let step_bytes = (limit_bytes as f64 * SHRINK_AT_MOST) as u64;
    let shrunk_bytes = bounded_bytes.max(safe_bytes).max(whole(step_bytes));
    if shrunk_bytes as f64 > limit_bytes as f64 * WORTH_SHRINKING {
        return Verdict::hold(format!("{reason}: {} stays", human(limit_bytes)));
    }
    if waits_s > 0 {
        return Verdict::hold(format!(
            "{reason}, after {waits_s} s more of cooldown to {}",
            human(shrunk_bytes)
        ));
    }
    let bound = bound_by(to_bytes, shrunk_bytes);
    Verdict {
        action: Action::Shrink {
            to_bytes: shrunk_bytes,
        },
        reason: format!("{reason}, to {}{bound}", human(shrunk_bytes)),
        alert: None,
        after_kill: false,
    }
}

fn bound_by(wished_bytes: u64, bytes: u64) -> &'static str {
    if bytes < wished_bytes {
        ", its maximum"
    } else if bytes > whole(wished_bytes) {
        ", no less for now"
    } else {
        ""
    }
}

/// What is left of the cooldown, and of what has to be watched before anything shrinks: how much a cache takes is not known after one
/// look, nor is anything.
fn waits_s(history: &History, policy: &Policy, now_s: u64) -> u64 {
    let cooldown_s = policy.cooldown_s;
    let changed = history.changed_at_s();
    let since_change_s = changed.map_or(cooldown_s, |at_s| now_s.saturating_sub(at_s));
    let waits_s = cooldown_s.saturating_sub(since_change_s);
    if policy.strategy != Strategy::Floor {
        return waits_s;
    }
    let to_watch_s = match history.claim() {
        Some(_) => cooldown_s,
        None => cooldown_s.min(FIRST_S),
    };
    waits_s.max(to_watch_s.saturating_sub(history.learned().watched_s()))
}

fn whole(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(STEP_BYTES).unwrap_or(bytes)
}

/// Profiles are checked when they are read; who builds a policy by hand may still get it wrong.
fn nonsense(policy: &Policy) -> Option<String> {
    let Policy {
        min_bytes,
        max_bytes,
        factor,
        caution,
        ..
    } = *policy;
    if min_bytes > max_bytes {
        let (min, max) = (human(min_bytes), human(max_bytes));
        return Some(format!(
            "its minimum of {min} is above its maximum of {max}"
        ));
    }
    if policy.strategy == Strategy::Guide && !(factor > 1.0 && factor.is_finite()) {
        return Some(format!(
            "a factor of {factor} changes nothing: it has to be above 1"
        ));
    }
    if policy.strategy == Strategy::Floor && !(caution > 0.0 && caution.is_finite()) {
        return Some(format!(
            "a caution of {caution} makes no sense: it has to be above 0"
        ));
    }
    None
}

fn untimely(seen: &Observation, now_s: u64) -> Option<String> {
    match now_s.checked_sub(seen.at_s) {
        None => Some(format!(
            "the clock went back by {} s since it was last seen",
            seen.at_s - now_s
        )),
        Some(age_s) if age_s > GAP_S => Some(format!(
            "it was last seen {age_s} s ago: too long to decide on"
        )),
        Some(_) => None,
    }
}
