//! What is asked of the library beside usage and level, in one place.

use plimsoll::MemoryManager;
use plimsoll_survival::Brake;

/// What the brake did so far.
pub fn brake(manager: &MemoryManager) -> Brake {
    let stats = manager.stats().brake;
    Brake {
        pauses_total: stats.pauses_total,
        paused_ms_total: stats.paused_ms_total,
        worst_pause_us: stats.worst_pause_us,
        at_bound_total: stats.at_bound_total,
    }
}

/// Above it hooks are asked to give back.
pub fn elevated_percent(manager: &MemoryManager) -> f64 {
    manager.stats().elevated_percent
}
