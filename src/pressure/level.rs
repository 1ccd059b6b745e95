//! [`PressureLevel`]: how close, in four steps.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// How close to its limit the process is.
///
/// ```
/// use plimsoll::PressureLevel;
///
/// assert!(PressureLevel::Elevated < PressureLevel::High);
/// if plimsoll::get_memory_manager().pressure() >= PressureLevel::High {
///     // refuse what can be refused
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum PressureLevel {
    /// Below all lines, or no limit is known.
    Normal,
    /// Above the first line: hooks are asked to give back, nothing is refused.
    Elevated,
    /// Above the High line ([`max_memory_percent`](crate::MemoryManagerBuilder::max_memory_percent)): reservations are refused, and
    /// threads that allocate are braked.
    High,
    /// Above the last line: the kernel is about to kill.
    Critical,
}

impl PressureLevel {
    /// All of them, the lowest first.
    pub const ALL: [PressureLevel; 4] = [
        PressureLevel::Normal,
        PressureLevel::Elevated,
        PressureLevel::High,
        PressureLevel::Critical,
    ];
}

impl fmt::Display for PressureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PressureLevel::Normal => "normal",
            PressureLevel::Elevated => "elevated",
            PressureLevel::High => "high",
            PressureLevel::Critical => "critical",
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
        // Only what `set` stored can be here; the mask spares the bounds check.
        PressureLevel::ALL[usize::from(self.0.load(Ordering::Relaxed) & 3)]
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
        assert_eq!(current.get(), PressureLevel::Normal);
        for level in PressureLevel::ALL.into_iter().rev() {
            current.set(level);
            assert_eq!(current.get(), level);
        }
    }
}
