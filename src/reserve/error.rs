//! [`ReserveError`]: why there is no reservation, and what to do next.

use std::fmt;

use crate::bytes::ByteSize;

/// Why memory could not be reserved.
///
/// ```
/// use plimsoll::{ByteSize, MemoryManager, ReserveError};
///
/// let manager = MemoryManager::builder().limit(ByteSize::gib(1)).build()?;
/// let error = manager.try_reserve(ByteSize::gib(2)).unwrap_err();
/// assert!(matches!(error, ReserveError::AboveLimit { .. }));
/// println!("{error}");
/// # Ok::<(), plimsoll::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveError {
    /// Not now: headroom is used, promised to others, or asked for by those who came before.
    NoRoom {
        /// What was asked for.
        requested_bytes: u64,
        /// What fits under the limit that binds.
        headroom_bytes: u64,
        /// What is promised of that and not filled yet.
        outstanding_bytes: u64,
        /// What those who wait already have asked for.
        waiting_bytes: u64,
    },
    /// Not now, however little: memory is above the High line (at [`High`](crate::PressureLevel::High) or
    /// [`Critical`](crate::PressureLevel::Critical)), and what is left of it is for the work that is under way.
    UnderPressure {
        /// What was asked for.
        requested_bytes: u64,
        /// What fits under the limit that binds.
        headroom_bytes: u64,
    },
    /// Not within the time; the figures are those of its end.
    TimedOut {
        /// What was asked for.
        requested_bytes: u64,
        /// What fits under the limit that binds.
        headroom_bytes: u64,
        /// What is promised of that and not filled yet.
        outstanding_bytes: u64,
        /// What others who wait have asked for.
        waiting_bytes: u64,
        /// Whether memory is above the High line, where nothing is granted.
        under_pressure: bool,
    },
    /// Never: more than the whole limit.
    AboveLimit {
        /// What was asked for.
        requested_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// No limit is known, which is not the same as unlimited.
    UnknownLimit {
        /// What was asked for.
        requested_bytes: u64,
    },
    /// A split of more than the scopes have left of the reservation.
    AlreadyFilled {
        /// What was to be split off.
        requested_bytes: u64,
        /// What is left.
        unfilled_bytes: u64,
    },
    /// The manager that was asked is gone: dropped, or left behind in the parent by a fork.
    ManagerGone {
        /// What was asked for.
        requested_bytes: u64,
    },
}

impl ReserveError {
    /// What was asked for.
    ///
    /// ```
    /// use plimsoll::{ByteSize, get_memory_manager};
    ///
    /// let error = get_memory_manager().try_reserve(ByteSize::gib(1 << 20)).unwrap_err();
    /// assert_eq!(error.requested_bytes(), 1 << 50);
    /// ```
    pub fn requested_bytes(&self) -> u64 {
        match *self {
            ReserveError::NoRoom {
                requested_bytes, ..
            }
            | ReserveError::UnderPressure {
                requested_bytes, ..
            }
            | ReserveError::TimedOut {
                requested_bytes, ..
            }
            | ReserveError::AboveLimit {
                requested_bytes, ..
            }
            | ReserveError::UnknownLimit { requested_bytes }
            | ReserveError::AlreadyFilled {
                requested_bytes, ..
            }
            | ReserveError::ManagerGone { requested_bytes } => requested_bytes,
        }
    }

    /// Whether the same request may be granted later: worth another try, or a wait.
    ///
    /// ```
    /// use plimsoll::{ByteSize, get_memory_manager};
    ///
    /// let error = get_memory_manager().try_reserve(ByteSize::gib(1 << 20)).unwrap_err();
    /// assert!(!error.may_pass());
    /// ```
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            ReserveError::NoRoom { .. }
                | ReserveError::UnderPressure { .. }
                | ReserveError::TimedOut { .. }
                | ReserveError::UnknownLimit { .. }
        )
    }

    /// Whether a place in the queue is worth taking: an unknown limit may stay unknown for ever.
    pub(super) fn is_waited_for(self) -> bool {
        matches!(
            self,
            ReserveError::NoRoom { .. } | ReserveError::UnderPressure { .. }
        )
    }
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = ByteSize::bytes;
        let requested = size(self.requested_bytes());
        match *self {
            ReserveError::NoRoom {
                headroom_bytes,
                outstanding_bytes,
                waiting_bytes,
                ..
            } => write!(
                f,
                "no room for {requested}: headroom is {}, of which {} are reserved and {} waited for; wait, or ask for less",
                size(headroom_bytes),
                size(outstanding_bytes),
                size(waiting_bytes)
            ),
            ReserveError::UnderPressure { headroom_bytes, .. } => write!(
                f,
                "{requested} can't be reserved while memory is above the High line: headroom is {}; \
                 wait, or turn the work away",
                size(headroom_bytes)
            ),
            ReserveError::TimedOut {
                headroom_bytes,
                under_pressure: true,
                ..
            } => write!(
                f,
                "memory stayed above the High line, where {requested} can't be reserved: headroom is {}; turn the work away",
                size(headroom_bytes)
            ),
            ReserveError::TimedOut {
                headroom_bytes,
                outstanding_bytes,
                waiting_bytes,
                ..
            } => write!(
                f,
                "no room for {requested} within the time: headroom is {}, of which {} are reserved and {} waited for; \
                 turn the work away, or ask for less",
                size(headroom_bytes),
                size(outstanding_bytes),
                size(waiting_bytes)
            ),
            ReserveError::AboveLimit { limit_bytes, .. } => write!(
                f,
                "{requested} are more than the whole limit of {}; ask for less, or raise it",
                size(limit_bytes)
            ),
            ReserveError::UnknownLimit { .. } => write!(
                f,
                "{requested} can't be reserved while no limit is known; set PLIMSOLL_MEMORY_LIMIT, or a limit in code"
            ),
            ReserveError::AlreadyFilled { unfilled_bytes, .. } => write!(
                f,
                "{requested} can't be split off a reservation of which {} are left; split less, or before it is filled",
                size(unfilled_bytes)
            ),
            ReserveError::ManagerGone { .. } => write!(
                f,
                "the manager that was asked for {requested} is gone, dropped or left behind by a fork; ask the one of this process"
            ),
        }
    }
}

impl std::error::Error for ReserveError {}
