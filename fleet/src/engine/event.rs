//! [`Event`]: what happens to a container, as the engine tells it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// As in [`Container::id`](crate::engine::Container::id).
    pub id: String,
    /// When, by the engine's clock: nanoseconds since the epoch.
    pub at_ns: u64,
    pub what: Happening,
}

/// What an engine tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The kernel killed something in it for memory.
    OomKill,
    /// It started, or started again.
    Started,
    /// It ended.
    Ended,
}

/// Nanoseconds since the epoch, as events have them.
pub fn now_ns() -> u64 {
    // The same clock, except in tests that move theirs: there events and changes have to agree too.
    let (moved, real) = (tokio::time::Instant::now().into_std(), Instant::now());
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall = wall.unwrap_or_default() + moved.saturating_duration_since(real);
    let wall = wall.saturating_sub(real.saturating_duration_since(moved));
    u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX)
}
