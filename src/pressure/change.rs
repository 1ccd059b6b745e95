//! [`PressureChange`]: from which level to which, and why.

use std::fmt;

use crate::bytes::ByteSize;
use crate::pressure::PressureLevel;
use crate::usage::Bound;

/// A change of the pressure level.
///
/// ```
/// let subscription = plimsoll::get_memory_manager().on_pressure(|change| {
///     if change.is_rise() {
///         eprintln!("{change}"); // normal -> elevated (used): 92.1 MiB of 128.0 MiB (72.0 %)
///     }
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PressureChange {
    /// The level before.
    pub from: PressureLevel,
    /// The level now.
    pub to: PressureLevel,
    /// What the new level rests on.
    pub cause: PressureCause,
    /// The limit that binds, with what is used of it, at that moment; `None` when no limit is known.
    pub bound: Option<Bound>,
}

impl PressureChange {
    /// Whether pressure has grown.
    pub fn is_rise(&self) -> bool {
        self.to > self.from
    }

    /// What is new to somebody who was told `told` last: all steps since in one, or nothing when the level is back there.
    pub(super) fn since(self, told: PressureLevel) -> Option<PressureChange> {
        (self.to != told).then_some(PressureChange { from: told, ..self })
    }
}

/// What a level rests on.
///
/// ```
/// assert_eq!(plimsoll::PressureCause::Forecast.to_string(), "forecast");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum PressureCause {
    /// What is used of the limit that binds.
    Used,
    /// At the speed of the last readings the limit is near.
    Forecast,
    /// The kernel reports that tasks wait for memory, or systemd passes such a report on.
    Stalled,
    /// No limit is known any more, so nothing can be said.
    LimitUnknown,
}

impl fmt::Display for PressureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PressureCause::Used => "used",
            PressureCause::Forecast => "forecast",
            PressureCause::Stalled => "stalled",
            PressureCause::LimitUnknown => "limit unknown",
        })
    }
}

/// `normal -> elevated (used): 92.1 MiB of 128.0 MiB (72.0 %), limit: ..`
impl fmt::Display for PressureChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PressureChange {
            from, to, cause, ..
        } = self;
        write!(f, "{from} -> {to} ({cause})")?;
        match self.bound {
            Some(bound) => write!(
                f,
                ": {} of {} ({:.1} %)",
                ByteSize::bytes(bound.used_bytes),
                ByteSize::bytes(bound.limit_bytes),
                bound.percent()
            ),
            None => Ok(()),
        }
    }
}
