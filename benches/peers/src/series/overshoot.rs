//! How far past its line a load is when somebody notices.

use plimsoll::ByteSize;

/// Threads that fill memory at once.
pub const THREADS: u64 = 2;

/// About how often a thread is looked at: the library's default.
pub const INTERVAL: ByteSize = ByteSize::kib(256);

/// What scopes are promised to notice within, per thread.
pub const PROMISED_INTERVALS: u64 = 2;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watcher {
    /// One scope that both threads work for.
    SharedScope,
    /// A scope for each thread.
    OwnScopes,
    /// A thread that reads RSS every so many milliseconds.
    Poller(u64),
}

/// One watcher, and blocks of one size.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// Who looks.
    pub watcher: Watcher,
    /// What is allocated at once.
    pub block: ByteSize,
    /// The series of the bytes past the line: the median of the rounds.
    pub median: &'static str,
    /// The farthest of the rounds.
    pub worst: &'static str,
    /// The share of the rounds in which all was full before anybody noticed.
    pub too_late: &'static str,
}

macro_rules! arm {
    ($watcher:expr, $named:literal, $kib:literal) => {
        Arm {
            watcher: $watcher,
            block: ByteSize::kib($kib),
            median: concat!("overshoot, ", $named, ", ", $kib, " KiB blocks, median"),
            worst: concat!("overshoot, ", $named, ", ", $kib, " KiB blocks, worst"),
            too_late: concat!("overshoot, ", $named, ", ", $kib, " KiB blocks, too late"),
        }
    };
}

/// The scopes first.
pub const ARMS: [Arm; 8] = [
    arm!(Watcher::SharedScope, "2 threads in one scope", 4),
    arm!(Watcher::SharedScope, "2 threads in one scope", 64),
    arm!(Watcher::OwnScopes, "a scope per thread", 4),
    arm!(Watcher::OwnScopes, "a scope per thread", 64),
    arm!(Watcher::Poller(100), "RSS read every 100 ms", 4),
    arm!(Watcher::Poller(100), "RSS read every 100 ms", 64),
    arm!(Watcher::Poller(1000), "RSS read every 1 s", 4),
    arm!(Watcher::Poller(1000), "RSS read every 1 s", 64),
];

impl Arm {
    /// How many threads share a line.
    pub fn threads_per_line(&self) -> u64 {
        match self.watcher {
            Watcher::OwnScopes => 1,
            Watcher::SharedScope | Watcher::Poller(_) => THREADS,
        }
    }

    /// How far the worst round may go, where that is promised.
    pub fn promised_bytes(&self) -> Option<u64> {
        let intervals = PROMISED_INTERVALS * self.threads_per_line();
        let bytes = intervals * INTERVAL.as_u64() + self.block.as_u64();
        (!matches!(self.watcher, Watcher::Poller(_))).then_some(bytes)
    }
}
