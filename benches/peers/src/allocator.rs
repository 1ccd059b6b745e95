//! [`Allocator`]: the ways to know what was allocated. What each does is in `src/bin/pairs`.

/// A way to know what was allocated. One process uses one of them, because nothing uninstalls a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// jemalloc alone, in a process without any scope: knows nothing.
    Bare,
    /// Plimsoll's type, in a running scope.
    Metered,
    /// The same in a process with a manager, which has a line for the whole heap.
    Managed,
    /// `cap`.
    Cap,
    /// `stats_alloc`.
    StatsAlloc,
    /// `tracking-allocator`, on, in an entered group.
    TrackingAllocator,
    /// A thread-local counter that settles now and then.
    Batching,
}

impl Allocator {
    /// Bare first: it is what the others are compared with.
    pub const ALL: [Allocator; 7] = [
        Allocator::Bare,
        Allocator::Metered,
        Allocator::Managed,
        Allocator::Cap,
        Allocator::StatsAlloc,
        Allocator::TrackingAllocator,
        Allocator::Batching,
    ];

    /// All that are compared with the bare one.
    pub fn peers() -> impl Iterator<Item = Allocator> {
        Self::ALL
            .into_iter()
            .filter(|&allocator| allocator != Allocator::Bare)
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Allocator::Bare => "bare",
            Allocator::Metered => "metered",
            Allocator::Managed => "with a manager",
            Allocator::Cap => "cap",
            Allocator::StatsAlloc => "stats_alloc",
            Allocator::TrackingAllocator => "tracking-allocator",
            Allocator::Batching => "batching",
        }
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Allocator> {
        Self::ALL
            .into_iter()
            .find(|allocator| allocator.name() == name)
    }
}
