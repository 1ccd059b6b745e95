//! What a reading says to those who can't wait for the next: where the heap rings, and where threads are braked.

use crate::manager::config::Config;
use crate::manager::need;
use crate::meter;
use crate::pressure::PressureLevel;
use crate::usage::{Bound, Usage};

/// Where much is left the heap rings by so much before the line: from there the looks go by the speed of growth.
const EARLY_BYTES: u64 = 1 << 20;
/// Nearer to its line the heap rings no sooner: each ring costs the worker a reading.
const LEAST_LINE_BYTES: u64 = 256 << 10;

/// The heap may grow by what is left to the next line, then it rings. From the Elevated line on threads look for themselves whether
/// they are above the High line, or above `unbraked_bytes` of what the limit counts, if that is more.
pub(super) fn set(
    config: &Config,
    usage: &Usage,
    churn_bytes: u64,
    anonymous_bytes: Option<u64>,
    unbraked_bytes: u64,
) {
    let left_bytes = usage
        .binding
        .and_then(|bound| left_bytes(config, &bound, usage, churn_bytes));
    match (usage.heap, left_bytes) {
        (Some(heap), Some(left_bytes)) => {
            meter::arm_heap_line(heap.active_bytes.saturating_add(
                (left_bytes - EARLY_BYTES.min(left_bytes / 2)).max(LEAST_LINE_BYTES),
            ))
        }
        _ => meter::disarm_heap_line(),
    }
    match (anonymous_bytes, usage.binding) {
        // Who brakes without cleaning up waits for nothing.
        (Some(anonymous_bytes), Some(bound))
            if config.reactions.brake && config.reactions.cleanup =>
        {
            let (line_bytes, watching) = brake(config, &bound, anonymous_bytes, unbraked_bytes);
            meter::set_brake(line_bytes, watching);
        }
        _ => meter::release_brake(),
    }
}

/// How much the heap may grow before somebody has to look: to the next line by what is in use, as unused pages are taken first; but not
/// past where those have to go back, in case they are not. `None` above the last line.
fn left_bytes(config: &Config, bound: &Bound, usage: &Usage, churn_bytes: u64) -> Option<u64> {
    let lines = &config.lines;
    let in_use = need::in_use(bound, usage, churn_bytes);
    let by_use = lines.left_to_next_bytes(&in_use)?;
    let to_purge = lines.left_to_purge_bytes(bound);
    let by_pages = if to_purge > 0 {
        to_purge
    } else {
        lines.left_to_next_bytes(bound)?
    };
    Some(by_use.min(by_pages))
}

/// The line in anonymous memory, and whether events are to look. Pure.
fn brake(config: &Config, bound: &Bound, anonymous_bytes: u64, unbraked_bytes: u64) -> (u64, bool) {
    let lines = &config.lines;
    let hard_bytes = lines
        .begin_bytes(bound, PressureLevel::High)
        .max(unbraked_bytes);
    // What else counts against the limit stays as it was at the reading.
    let others_bytes = i128::from(bound.used_bytes) - i128::from(anonymous_bytes);
    let line_bytes = (i128::from(hard_bytes) - others_bytes).clamp(0, i128::from(u64::MAX - 1));
    let watching = bound.used_bytes >= lines.begin_bytes(bound, PressureLevel::Elevated);
    (line_bytes as u64, watching)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::LimitSource;

    #[test]
    fn the_line_is_what_is_left_above_todays_anonymous_memory() {
        // used, anonymous, unbraked -> line, watching
        let table = [
            (500, 400, 0, 700, false),
            (699, 600, 0, 701, false),
            (700, 600, 0, 700, true),
            (850, 800, 0, 750, true),
            // Neighbours hold nearly all of it: whatever we allocate is too much.
            (950, 10, 0, 0, true),
            // File mappings are not charged to us, so RSS may be more than what is used.
            (500, 600, 0, 900, false),
            // Cleanups are in vain: only growth is braked.
            (850, 800, 887, 837, true),
            (850, 800, 790, 750, true),
        ];
        for (used_bytes, anonymous, unbraked, line, watching) in table {
            let bound = Bound {
                limit_bytes: 1000,
                used_bytes,
                source: LimitSource::Builder,
            };
            assert_eq!(
                brake(&Config::DEFAULT, &bound, anonymous, unbraked),
                (line, watching),
                "{used_bytes} {anonymous} {unbraked}"
            );
        }
    }
}
