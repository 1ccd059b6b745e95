//! The names of what is measured: one for the bench that measures and the table that prints. They are file names too.

pub mod curve;
pub mod overshoot;

/// `usage()` and what else tells a process its memory.
pub mod usage {
    /// `MemoryManager::usage`.
    pub const PLIMSOLL: &str = "usage";
    /// `sysinfo::System`, refreshing the memory of one process.
    pub const SYSINFO: &str = "usage by sysinfo";
    /// `memory_stats::memory_stats`.
    pub const MEMORY_STATS: &str = "usage by memory-stats";
}

/// Scopes: into one and out of it, and what is asked inside.
pub mod guard {
    /// One malloc and free.
    pub const MALLOC_AND_FREE: &str = "malloc and free of 64 B";
    /// A scope at a static site.
    pub const STATIC_SITE: &str = "guard at a static site";
    /// The same, in processor time.
    pub const STATIC_SITE_ONE: &str = "guard at a static site, 1 thread";
    /// The same on two threads at once, per thread.
    pub const STATIC_SITE_TWO: &str = "guard at a static site, 2 threads";
    /// Blocks of changing sizes, each allocated and freed.
    pub const BLOCKS: &str = "blocks of 64 B to 64 KiB";
    /// The same, each in a scope of its own that looks at it while it is there.
    pub const BLOCKS_INSIDE: &str = "blocks of 64 B to 64 KiB, each in a checked scope";
    /// A scope by name.
    pub const NAMED: &str = "guard by name";
    /// A scope by call location.
    pub const LOCATED: &str = "guard by call location";
    /// A function with `#[memory_limit]`.
    pub const ATTRIBUTE: &str = "guard by attribute";
    /// `MemoryManager::pressure` of a manager at hand.
    pub const PRESSURE: &str = "pressure";
    /// `get_memory_manager` and `pressure`.
    pub const PRESSURE_GLOBAL: &str = "pressure of the global manager";
    /// `checkpoint` without a scope.
    pub const CHECKPOINT_OUTSIDE: &str = "checkpoint without a scope";
    /// `checkpoint` in one scope.
    pub const CHECKPOINT_INSIDE: &str = "checkpoint in a scope";
    /// A poll of a future that is never ready.
    pub const POLL: &str = "poll of a pending future";
    /// The same under a limit.
    pub const POLL_LIMITED: &str = "poll of a pending future under a limit";
    /// `MemoryManager::try_reserve`, its drop not included.
    pub const RESERVE: &str = "try_reserve of 1 MiB";
    /// The same and the drop.
    pub const RESERVE_AND_DROP: &str = "try_reserve of 1 MiB and drop";
}

/// Counters: time per call and thread.
pub mod periodic {
    /// A thread-local increment.
    pub const THREAD_LOCAL: &str = "thread-local increment";
    /// The same on two threads at once.
    pub const THREAD_LOCAL_TWO: &str = "thread-local increment, 2 threads";
    /// An increment of one atomic.
    pub const ATOMIC: &str = "shared atomic";
    /// The same on two threads at once.
    pub const ATOMIC_TWO: &str = "shared atomic, 2 threads";
    /// A named static counter that rings every 100th call.
    pub const NAMED_OFTEN: &str = "periodic by name, every 100";
    /// The same on two threads at once.
    pub const NAMED_OFTEN_TWO: &str = "periodic by name, every 100, 2 threads";
    /// A named static counter that hardly ever rings.
    pub const NAMED_SELDOM: &str = "periodic by name, every 1000000";
    /// The same on two threads at once.
    pub const NAMED_SELDOM_TWO: &str = "periodic by name, every 1000000, 2 threads";
    /// A counter made where it ticks.
    pub const INLINE_OFTEN: &str = "periodic inline, every 100";
    /// The same, hardly ever ringing.
    pub const INLINE_SELDOM: &str = "periodic inline, every 1000000";
    /// A function with `#[periodic_cleanup]`.
    pub const ATTRIBUTE_OFTEN: &str = "periodic by attribute, every 100";
    /// The same, hardly ever ringing.
    pub const ATTRIBUTE_SELDOM: &str = "periodic by attribute, every 1000000";
}

/// Layers around a service: time per request and thread, beside the bare service next to it.
pub mod layers {
    /// On one thread, and on two at once.
    pub const THREADS: [u32; 2] = [1, 2];
    /// A series for each of these.
    pub type Added = [&'static str; 2];

    /// What a layer may add to a request.
    pub const PROMISED_NANOS: f64 = 200.0;

    macro_rules! added {
        ($name:literal) => {
            [concat!($name, ", 1 thread"), concat!($name, ", 2 threads")]
        };
    }

    /// The service alone.
    pub const BARE: Added = added!("request to a bare service");
    /// What `ShedLayer` adds at Normal.
    pub const SHED: Added = added!("added to a request by ShedLayer");
    /// What `MemoryLimitLayer` adds.
    pub const LIMIT: Added = added!("added to a request by MemoryLimitLayer");
    /// What both add.
    pub const BOTH: Added = added!("added to a request by both layers");
}

/// Giving memory back: per workload, how much and how fast.
pub mod purge {
    /// The series of one workload.
    #[derive(Clone, Copy, Debug)]
    pub struct Purge {
        /// The share of what the freed blocks held that the cleanup returned.
        pub returned: &'static str,
        /// The time of the cleanup over that of `madvise` for as many bytes.
        pub times_madvise: &'static str,
    }

    macro_rules! purge {
        ($workload:literal) => {
            Purge {
                returned: concat!("cleanup of ", $workload, ", returned"),
                times_madvise: concat!("cleanup of ", $workload, ", time over madvise"),
            }
        };
    }

    /// Blocks of a page.
    pub const PAGES: Purge = purge!("1 GiB of 4 KiB blocks");
    /// Small blocks.
    pub const SMALL: Purge = purge!("1 GiB of 64 B blocks");
    /// Small blocks, of which every 64th is kept.
    pub const FRAGMENTED: Purge = purge!("1 GiB of 64 B blocks but 1 in 64 (fragmentation)");
    /// The caches of threads that said that they are idle.
    pub const IDLE_THREADS: Purge = purge!("64 threads after thread_idle");
    /// The caches of threads that just sleep.
    pub const SILENT_THREADS: Purge = purge!("64 threads without thread_idle");
}

/// The library itself.
pub mod own {
    /// RSS that an installed manager adds, in bytes.
    pub const RSS: &str = "own RSS a second after install";
}
