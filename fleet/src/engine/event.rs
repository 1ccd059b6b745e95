//! [`Event`]: what happens to a container, as the engine tells it.

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// As in [`Container::id`](crate::engine::Container::id).
    pub id: String,
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
