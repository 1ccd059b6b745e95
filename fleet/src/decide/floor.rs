//! Our strategy: the floor, learned peaks, and a margin for what the service has shown it can do.

use crate::decide::history::Kill;
use crate::decide::learned::MarginFor;
use crate::decide::wish::Wish;
use crate::decide::{History, Observation};
use crate::profile::Policy;
use crate::size::human;

/// What is needed after a kill at once, else peak and margin.
pub fn wish(history: &History, seen: &Observation, kill: Option<Kill>, policy: &Policy) -> Wish {
    let need = history.learned().need(policy);
    // Above its High line it refuses work: what it needs beyond would never show, and it would stay there.
    let high_ratio = history.high_ratio();
    let need_bytes = need.bytes.max(need.shown_bytes / high_ratio) as u64;
    if let Some(kill) = kill {
        return Wish {
            to_bytes: kill.goal_bytes(policy).max(need_bytes),
            pressing: true,
            reason: format!("killed at {}", human(kill.limit_bytes)),
        };
    }
    let floor_bytes = history.floor_bytes(seen);
    let margin_for = match need.margin_for {
        MarginFor::Least => "at least",
        MarginFor::Newcomer => "as long as it is little known",
        MarginFor::Reserve => "for what never happened yet",
        MarginFor::Rise => "for rises as before",
        MarginFor::Proportion => "for it is small and jumps",
    };
    let floor = match history.claim() {
        None => format!(
            "{} used, nothing known of what it could free",
            human(seen.used_bytes)
        ),
        Some(claim) => {
            let claimed = human(claim.bytes.min(seen.used_bytes));
            let age_s = seen.at_s.saturating_sub(claim.at_s);
            let age = match age_s {
                0 => String::new(),
                _ => format!(" as of {age_s} s ago"),
            };
            format!(
                "floor {}, {} used less {claimed} it could free{age}",
                human(floor_bytes),
                human(seen.used_bytes)
            )
        }
    };
    let below = if need_bytes > need.bytes as u64 {
        let most = human(need.shown_bytes as u64);
        format!(
            ", and {most} of it below {:.0} % of its limit",
            100.0 * high_ratio
        )
    } else {
        String::new()
    };
    Wish {
        to_bytes: need_bytes,
        // What it has now, were it to rise once more as it did before, is more than there may be.
        pressing: floor_bytes as f64 + history.learned().rise_bytes()
            > policy.max_bytes as f64 * high_ratio,
        reason: format!(
            "{floor}; needs {} and {} {margin_for}{below}",
            human((need.bytes - need.margin_bytes) as u64),
            human(need.margin_bytes as u64)
        ),
    }
}
