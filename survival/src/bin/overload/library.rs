//! What is asked of the library beside usage and level, in one place.

use plimsoll::MemoryManager;
use plimsoll_survival::Brake;

/// Above it hooks are asked to give back.
pub const ELEVATED_PERCENT: f64 = 70.0;

/// What the brake did so far; `None` as long as the library has none.
pub fn brake(_manager: &MemoryManager) -> Option<Brake> {
    None
}
