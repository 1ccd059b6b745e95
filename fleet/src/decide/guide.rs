//! The guide's strategy: two thresholds and a factor.

use crate::decide::Observation;
use crate::decide::history::Kill;
use crate::decide::wish::Wish;
use crate::profile::Policy;
use crate::size::human;

/// Above the one threshold the limit is multiplied, below the other divided.
pub fn wish(seen: &Observation, kill: Option<Kill>, policy: &Policy) -> Wish {
    let limit = seen.limit_bytes as f64;
    let percent = 100.0 * seen.used_bytes as f64 / limit.max(1.0);
    let used = human(seen.used_bytes);
    if let Some(kill) = kill {
        return Wish {
            to_bytes: kill.goal_bytes(policy),
            pressing: true,
            reason: format!("killed at {}: x{}", human(kill.limit_bytes), policy.factor),
        };
    }
    if percent > policy.up_percent {
        Wish {
            to_bytes: (limit * policy.factor) as u64,
            pressing: true,
            reason: format!(
                "{used} used is {percent:.0} % of {}, above {} %: x{}",
                human(seen.limit_bytes),
                policy.up_percent,
                policy.factor
            ),
        }
    } else if percent < policy.down_percent {
        Wish {
            to_bytes: (limit / policy.factor) as u64,
            pressing: false,
            reason: format!(
                "{used} used is {percent:.0} % of {}, below {} %: /{}",
                human(seen.limit_bytes),
                policy.down_percent,
                policy.factor
            ),
        }
    } else {
        Wish {
            to_bytes: seen.limit_bytes,
            pressing: false,
            reason: format!(
                "{used} used is {percent:.0} % of {}, between {} % and {} %",
                human(seen.limit_bytes),
                policy.down_percent,
                policy.up_percent
            ),
        }
    }
}
