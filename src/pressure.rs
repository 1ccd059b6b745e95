//! WHEN: how close to the limit, as a level.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// How close to its limit the process is.
///
/// ```
/// let pressure = plimsoll::get_memory_manager().pressure();
/// assert!(pressure <= plimsoll::PressureLevel::High);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum PressureLevel {
    /// Below the High line, or no limit is known.
    Normal,
    /// Above the High line ([`max_memory_percent`](crate::MemoryManagerBuilder::max_memory_percent)).
    High,
}

impl fmt::Display for PressureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PressureLevel::Normal => "normal",
            PressureLevel::High => "high",
        })
    }
}

/// The level as of the last look, for readers that must not wait.
pub(crate) struct CurrentLevel(AtomicU8);

impl CurrentLevel {
    pub(crate) const fn new() -> Self {
        CurrentLevel(AtomicU8::new(PressureLevel::Normal as u8))
    }

    #[inline]
    pub(crate) fn get(&self) -> PressureLevel {
        if self.0.load(Ordering::Relaxed) == PressureLevel::High as u8 {
            PressureLevel::High
        } else {
            PressureLevel::Normal
        }
    }

    pub(crate) fn set(&self, level: PressureLevel) {
        self.0.store(level as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read() {
        let current = CurrentLevel::new();
        for level in [
            PressureLevel::Normal,
            PressureLevel::High,
            PressureLevel::Normal,
        ] {
            current.set(level);
            assert_eq!(current.get(), level);
        }
    }
}
