//! [`share`]: what the host has is never handed out twice.

use std::cmp::Reverse;

use crate::decide::{Action, Alert, Verdict};
use crate::size::human;

/// Less than this is not worth a resize.
const WORTH_BYTES: u64 = 1 << 20;

/// What one service has and wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted<'a> {
    pub service: &'a str,
    /// In force now.
    pub limit_bytes: u64,
    /// The lower number waits.
    pub priority: i32,
    pub verdict: Verdict,
}

/// Cuts what is wanted down to what the host has: the sum of limits never exceeds the budget; a kill first, then priority.
///
/// Room is the budget less all limits in force. What a shrink gives back counts once it is in force, which is next time: whichever
/// of the verdicts are carried out, and in whatever order, the sum stays within the budget. Who got less than it needs is told so,
/// with [`Alert::HostFull`].
pub fn share(wanted: &mut [Wanted<'_>], budget_bytes: u64) {
    let in_force: u128 = wanted.iter().map(|one| u128::from(one.limit_bytes)).sum();
    let room = u128::from(budget_bytes).saturating_sub(in_force);
    // Not more than the budget, which has 64 bits.
    let mut room_bytes = u64::try_from(room).unwrap_or(u64::MAX);
    let mut growing: Vec<&mut Wanted<'_>> = wanted
        .iter_mut()
        .filter(|one| matches!(one.verdict.action, Action::Grow { .. }))
        .collect();
    // Stable: among equals the first in the profile is the first.
    growing.sort_by_key(|one| Reverse((one.verdict.after_kill, one.priority)));
    for one in growing {
        let Action::Grow { to_bytes } = one.verdict.action else {
            continue;
        };
        let more_bytes = to_bytes.saturating_sub(one.limit_bytes);
        let granted_bytes = more_bytes.min(room_bytes);
        if granted_bytes == more_bytes {
            room_bytes -= granted_bytes;
            continue;
        }
        one.verdict.alert = Some(Alert::HostFull);
        let wish = std::mem::take(&mut one.verdict.reason);
        if granted_bytes < WORTH_BYTES {
            one.verdict.action = Action::Hold;
            one.verdict.reason = format!(
                "{wish}; but the host has {} left of {}: {} waits",
                human(room_bytes),
                human(budget_bytes),
                one.service
            );
        } else {
            let to_bytes = one.limit_bytes + granted_bytes;
            room_bytes -= granted_bytes;
            one.verdict.action = Action::Grow { to_bytes };
            one.verdict.reason = format!(
                "{wish}; but the host has only {} left of {}: {} gets that, {} in all",
                human(granted_bytes),
                human(budget_bytes),
                one.service,
                human(to_bytes)
            );
        }
    }
}
