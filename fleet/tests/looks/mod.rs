//! What the tests of deciding look at: one service between 64 MiB and 1 GiB, each half minute.
#![allow(dead_code, reason = "each file uses a part of it")]

use plimsoll_fleet::decide::{Action, History, Observation, Verdict, decide};
use plimsoll_fleet::profile::{Policy, Strategy};

pub const MIB: u64 = 1 << 20;
pub const NOW_S: u64 = 1_700_000_000;

pub fn policy(strategy: Strategy) -> Policy {
    Policy {
        strategy,
        ..Policy::between(64 * MIB, 1024 * MIB)
    }
}

pub fn seen(at_s: u64, used_mib: u64, limit_mib: u64) -> Observation {
    Observation {
        at_s,
        used_bytes: used_mib * MIB,
        reclaimable_bytes: None,
        limit_bytes: limit_mib * MIB,
    }
}

/// Looks so often, and does what is decided.
pub fn settle(
    history: &mut History,
    policy: &Policy,
    look: Observation,
    looks: u64,
) -> (u64, Verdict) {
    settle_below(history, None, policy, look, looks)
}

/// The same, of one that says above which part of its limit it refuses work.
pub fn settle_below(
    history: &mut History,
    ratio: Option<f64>,
    policy: &Policy,
    mut look: Observation,
    looks: u64,
) -> (u64, Verdict) {
    let mut verdict = decide(history, policy, look.at_s);
    for _ in 0..looks {
        if let Some(ratio) = ratio {
            history.refuses_above(look.at_s, ratio);
        }
        history.observe(&look, policy);
        verdict = decide(history, policy, look.at_s);
        if let Action::Grow { to_bytes } | Action::Shrink { to_bytes } = verdict.action {
            history.resized(look.at_s, to_bytes);
            look.limit_bytes = to_bytes;
        }
        look.at_s += 30;
    }
    (look.limit_bytes, verdict)
}
