//! [`Terms`]: what a scope is judged by.

use crate::scope::{MemoryLimit, OnExceed};

/// What a scope is judged by: two words, so that they travel in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limit_bytes: u64,
    policy: Policy,
}

/// What happens past the limit, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policy(u8);

impl Policy {
    const WANTS_CLEANUP: u8 = 1 << 7;

    #[inline]
    const fn new(on_exceed: OnExceed, wants_cleanup: bool) -> Self {
        let cleanup = if wants_cleanup {
            Self::WANTS_CLEANUP
        } else {
            0
        };
        Policy(on_exceed as u8 | cleanup)
    }
}

impl Terms {
    #[inline]
    pub(super) const fn new(limit_bytes: u64, on_exceed: OnExceed, wants_cleanup: bool) -> Self {
        Terms {
            limit_bytes,
            policy: Policy::new(on_exceed, wants_cleanup),
        }
    }

    /// Those of `limit`, which does `by_default` unless it was told what to do.
    #[inline]
    pub(super) fn of(limit: &MemoryLimit, by_default: OnExceed) -> Self {
        let on_exceed = match limit.on_exceed {
            Some(on_exceed) => on_exceed,
            None => by_default,
        };
        Terms::new(limit.bytes, on_exceed, limit.cleanup_on_exceed)
    }

    pub(super) fn on_exceed(self) -> OnExceed {
        match self.policy.0 & !Policy::WANTS_CLEANUP {
            n if n == OnExceed::Error as u8 => OnExceed::Error,
            n if n == OnExceed::Panic as u8 => OnExceed::Panic,
            n if n == OnExceed::Shadow as u8 => OnExceed::Shadow,
            _ => OnExceed::Warn,
        }
    }

    pub(super) fn wants_cleanup(self) -> bool {
        self.policy.0 & Policy::WANTS_CLEANUP != 0
    }

    /// Whether a scope that passed its limit ends the work at checkpoints and poll boundaries.
    pub(super) fn stop_work(self) -> bool {
        matches!(self.on_exceed(), OnExceed::Error | OnExceed::Panic)
    }

    #[inline]
    pub(super) fn are_exceeded_by(self, used_bytes: i64) -> bool {
        used_bytes > 0 && used_bytes as u64 > self.limit_bytes
    }
}
