//! [`Actuator`]: the little that a scaler needs of an engine.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::Event;
use crate::size::human;

/// A running container, or a cgroup directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What the engine calls it: a container's name, a directory's name.
    pub id: String,
    /// The service of the profile that it runs (label `plimsoll.service`, else the name less `crypto-`); of another
    /// project, that and a slash before it.
    pub service: String,
    /// Where its metrics are (`http://host:port/metrics`), if it says so by its labels.
    pub metrics_url: Option<String>,
    /// `None`: unlimited.
    pub limit_bytes: Option<u64>,
    /// `None`: no limit on memory and swap together.
    pub swap_limit_bytes: Option<u64>,
}

/// What a container uses now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Charge less inactive file cache.
    pub used_bytes: u64,
    /// `None`: unlimited.
    pub limit_bytes: Option<u64>,
    /// Since the container started; `None`: not known here.
    pub oom_kills_total: Option<u64>,
}

/// One that runs, and of which the engine does not say enough to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// As in [`Container::id`].
    pub id: String,
    pub why: String,
}

/// Why the engine did not do it.
#[derive(Debug)]
pub enum EngineError {
    /// No answer: it may come back.
    Away(String),
    /// No such container (any more).
    Gone(String),
    /// It said no, for example because more is used than the new limit: nothing was changed.
    Refused(String),
    /// The system forbids it.
    NoPermission(String),
    /// Somebody else changed the limit meanwhile, to that (`None`: unlimited); nothing was changed. See [`Way`].
    Overtaken(Option<u64>),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Away(what) => write!(f, "the engine does not answer: {what}"),
            EngineError::Gone(what) => write!(f, "no such container: {what}"),
            EngineError::Refused(what) => write!(f, "the engine refused: {what}"),
            EngineError::NoPermission(what) => write!(f, "no permission: {what}"),
            EngineError::Overtaken(limit_bytes) => {
                let limit = limit_bytes.map_or_else(|| "no limit".to_owned(), human);
                write!(f, "it has {limit} meanwhile")
            }
        }
    }
}

impl std::error::Error for EngineError {}

/// What a change is for. Who decides by a reading may be overtaken: by an operator, or by another tool.
///
/// ```
/// use plimsoll_fleet::engine::Way;
///
/// // An operator gave it 2 GiB meanwhile: 614 MiB are not more.
/// assert!(Way::Up.check(Some(512 << 20), 614 << 20).is_ok());
/// assert!(Way::Up.check(Some(2 << 30), 614 << 20).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Whatever is in force.
    Set,
    /// More: nothing is done where more than that is in force.
    Up,
    /// Less: nothing is done where less than that is in force. `used_bytes` is for who has just asked: an engine that takes its time for
    /// a reading then takes none of its own.
    Down { used_bytes: Option<u64> },
}

/// The kernel rounds to whole pages, and those can have so much.
const PAGE_BYTES: u64 = 64 << 10;

impl Way {
    /// Whether it is still one, where `limit_bytes` is in force.
    ///
    /// # Errors
    ///
    /// [`EngineError::Overtaken`].
    pub fn check(self, limit_bytes: Option<u64>, to_bytes: u64) -> Result<(), EngineError> {
        let is_bytes = limit_bytes.unwrap_or(u64::MAX);
        let is_overtaken = match self {
            Way::Set => false,
            Way::Up => is_bytes.saturating_sub(to_bytes) >= PAGE_BYTES,
            Way::Down { .. } => to_bytes.saturating_sub(is_bytes) >= PAGE_BYTES,
        };
        match is_overtaken {
            true => Err(EngineError::Overtaken(limit_bytes)),
            false => Ok(()),
        }
    }
}

/// The little that a scaler needs of an engine.
pub trait Actuator: Send + Sync {
    /// All that runs and can be resized. One that is sick hides no others: see [`left_out`](Actuator::left_out).
    fn containers(&self) -> impl Future<Output = Result<Vec<Container>, EngineError>> + Send;

    /// Who runs and was missing in the last list, and why.
    fn left_out(&self) -> Vec<LeftOut> {
        Vec::new()
    }

    /// Memory of the host that all share. `None`: not known here.
    fn host_bytes(&self) -> impl Future<Output = Result<Option<u64>, EngineError>> + Send {
        std::future::ready(Ok(None))
    }

    /// How long [`usage`](Actuator::usage) may take where all is well.
    fn slowest_reading(&self) -> Duration {
        Duration::ZERO
    }

    /// What one uses now.
    fn usage(&self, id: &str) -> impl Future<Output = Result<Usage, EngineError>> + Send;

    /// Limit of memory, and of memory and swap together, both to the same; all or nothing.
    /// What leaves less than [`least_limit_bytes`](crate::engine::least_limit_bytes) is refused.
    fn resize(
        &self,
        id: &str,
        to_bytes: u64,
        way: Way,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// From when on [`watch`](Actuator::watch) tells what happened, in nanoseconds since the epoch. An engine that remembers nothing
    /// tells what happens from now on.
    fn listen_from(&self, _at_ns: u64) {}

    /// Sends what happens, as it happens. Ends when nobody listens any more, or when the engine does not answer; called again, it goes on
    /// from the last event, as far as the engine remembers.
    fn watch(
        &self,
        events: &mpsc::Sender<Event>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_overtaken_is_none() {
        const MIB: u64 = 1 << 20;
        let down = Way::Down { used_bytes: None };
        let table = [
            (Way::Up, Some(64), 100, true),
            (Way::Up, Some(100), 100, true),
            (Way::Up, Some(101), 100, false),
            (Way::Up, None, 100, false),
            (down, Some(101), 100, true),
            (down, Some(100), 100, true),
            (down, Some(99), 100, false),
            (down, None, 100, true),
            (Way::Set, Some(64), 100, true),
            (Way::Set, Some(101), 100, true),
        ];
        for (way, limit_mib, to_mib, is_one) in table {
            let limit_bytes = limit_mib.map(|mib: u64| mib * MIB);
            let checked = way.check(limit_bytes, to_mib * MIB);
            assert_eq!(checked.is_ok(), is_one, "{way:?} {limit_mib:?} {to_mib}");
            if let Err(error) = checked {
                assert!(matches!(error, EngineError::Overtaken(limit) if limit == limit_bytes));
            }
        }
        // Not by what the kernel rounds.
        Way::Up.check(Some(100 * MIB + 4096), 100 * MIB).unwrap();
        down.check(Some(100 * MIB - 4096), 100 * MIB).unwrap();
    }
}
