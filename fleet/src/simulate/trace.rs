//! [`Trace`]: what pods used over time.

/// What pods used over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pub name: String,
    pub pods: Vec<Pod>,
    /// Whether sizes are real; else a limit of 8 GiB is assumed for all.
    pub sizes_known: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    pub name: String,
    /// What it runs with: replays start at a multiple of this, and limits stay between 0.05 and 2 times of it.
    pub published_bytes: u64,
    /// By time.
    pub samples: Vec<Sample>,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub second: u64,
    pub used_bytes: u64,
    /// `None`: not known.
    pub reclaimable_bytes: Option<u64>,
}

impl Trace {
    /// Where a trace says only parts of limits.
    pub const ASSUMED_BYTES: u64 = 8 << 30;
}

impl Pod {
    /// How long a row is, in seconds: what most rows are apart.
    pub fn step_s(&self) -> u64 {
        let mut apart: Vec<u64> = self
            .samples
            .windows(2)
            .map(|pair| pair[1].second - pair[0].second)
            .collect();
        apart.sort_unstable();
        apart.get(apart.len() / 2).copied().unwrap_or(0)
    }
}
