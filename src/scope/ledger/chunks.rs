//! [`Chunks`]: a bounded table of counters, eight neighbouring buckets of one line at a time, made as they are needed.
//!
//! A line that has peaks in few octaves takes few chunks. Nothing is ever taken out or set back, so finding needs no order
//! between threads: a key that was seen once stays where it is, and counters start at zero.

use super::book::Line;
use super::bucket::Bucket;
use crate::sys::atomic::{AtomicU32, AtomicU64, Ordering, const_fn};

/// Counters per chunk: one cache line of them.
pub(crate) const WIDTH: usize = 8;
/// After this many foreign chunks a key counts as not findable: the table is as good as full.
const MAX_PROBES: usize = 64;
/// More groups of buckets than any line has.
const KEYS_PER_LINE: u32 = 64;

/// `GROUPS` times [`WIDTH`] buckets per line, at most `CHUNKS` chunks for all lines.
pub(crate) struct Chunks<const CHUNKS: usize, const GROUPS: usize> {
    /// Whose the counters at the same index are; 0 is nobody.
    keys: [AtomicU32; CHUNKS],
    calls: [[AtomicU64; WIDTH]; CHUNKS],
}

fn key(line: Line, group: usize) -> u32 {
    1 + u32::from(line.index()) * KEYS_PER_LINE + group as u32
}

impl<const CHUNKS: usize, const GROUPS: usize> Chunks<CHUNKS, GROUPS> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Chunks {
                keys: array![AtomicU32::new(0)],
                calls: array![array![AtomicU64::new(0)]],
            }
        }
    }

    /// Adds calls; `false` when there is no chunk left for them.
    pub(crate) fn add(&self, line: Line, bucket: Bucket, calls: u64) -> bool {
        let (group, counter) = (bucket.number() / WIDTH, bucket.number() % WIDTH);
        let Some(place) = self.find(key(line, group), true) else {
            return false;
        };
        // Release: whoever sees the calls counted sees the peak that was raised before.
        self.calls[place][counter].fetch_add(calls, Ordering::Release);
        true
    }

    /// Visits the buckets of a line that hold calls.
    pub(crate) fn visit(&self, line: Line, mut visit: impl FnMut(Bucket, u64)) {
        for group in 0..GROUPS {
            let Some(place) = self.find(key(line, group), false) else {
                continue;
            };
            for (counter, calls) in self.calls[place].iter().enumerate() {
                let calls = calls.load(Ordering::Acquire);
                if calls > 0 {
                    visit(Bucket::from_number(group * WIDTH + counter), calls);
                }
            }
        }
    }

    /// Where the chunk of `key` is, taking a free one if it `may_claim`.
    fn find(&self, key: u32, may_claim: bool) -> Option<usize> {
        // 2^32 divided by the golden ratio spreads the keys of one line, which follow each other, over the table.
        let spread = u64::from(key.wrapping_mul(0x9E37_79B1));
        let start = ((spread * CHUNKS as u64) >> 32) as usize;
        for step in 0..MAX_PROBES.min(CHUNKS) {
            let place = (start + step) % CHUNKS;
            let mut found = self.keys[place].load(Ordering::Relaxed);
            if found == 0 {
                if !may_claim {
                    return None;
                }
                found = match self.keys[place].compare_exchange(
                    0,
                    key,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => key,
                    Err(other) => other,
                };
            }
            if found == key {
                return Some(place);
            }
        }
        None
    }
}
