//! The ledger: for every site the number of its calls, their highest peak, and how many peaked how high.
//!
//! ```text
//! record  --plain store-->  a shard, the thread's own  --moved when in the way-->  the book, shared
//!         --no shard, or a reader holds what is in the way: one atomic add------>
//! totals  = the book + every shard, with moves of that line held off meanwhile
//! ```
//!
//! Nobody waits for a reader. A reader waits for the moves that were under way when it came, each a few hundred nanoseconds.
//! Everything is in static memory that starts as zeros, so what no thread and no site uses takes none.

use std::cell::Cell;

/// As many as the field holds of what a constructor makes. (The models in `proofs` have their own: loom's atomics can't be made
/// in constants.)
macro_rules! array {
    ($make:expr) => {
        [const { $make }; _]
    };
}

mod book;
mod bucket;
mod chunks;
mod histogram;
mod pool;
mod shard;
mod suggestion;

use book::Book;
pub(super) use book::Line;
use bucket::{BUCKETS, Bucket};
pub(crate) use histogram::Histogram;
use pool::Pool;
pub use suggestion::Suggestion;

/// Threads that count in a shard at the same time; the rest count in the book.
const SHARDS: usize = 128;
/// Lines that a thread counts without one getting into another's way.
const PLACES: usize = 32;
/// Four octaves: the peaks of a site may vary by 16 times without one getting into another's way.
const WORDS: usize = 32;
/// Two for each line, and a few more: what the bound leaves.
const CHUNKS: usize = 9_100;
const GROUPS: usize = BUCKETS.div_ceil(chunks::WIDTH);

type Shard = shard::Shard<PLACES, WORDS>;

struct Ledger {
    pool: Pool<SHARDS, PLACES, WORDS>,
    book: Book<{ Line::COUNT }, CHUNKS, GROUPS>,
}

const MAX_LEDGER_BYTES: usize = 1 << 20;
const _: () = assert!(size_of::<Ledger>() <= MAX_LEDGER_BYTES);
const _: () = assert!(BUCKETS.div_ceil(WORDS) <= shard::ROUNDS);

static LEDGER: Ledger = Ledger {
    pool: Pool::new(),
    book: Book::new(),
};

/// A reader waits for moves this many turns of the processor. Only a move that a fork cut off takes as long, and what it
/// moved may then count twice, or not at all, in the child.
const PATIENCE: usize = 1_000;

/// What a line says.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    pub(super) calls: u64,
    /// Of the highest call; exact, unlike the histogram's edges.
    pub(super) peak_bytes: u64,
    pub(super) histogram: Histogram,
}

/// A thread's claim on a shard, given back when the thread ends.
struct Lease {
    index: Cell<Option<usize>>,
}

thread_local! {
    // Without a destructor, so that counting need not ask whether it ran: `LEASE` empties it, and empty leads to
    // `record_slowly`.
    static MINE: Cell<Option<&'static Shard>> = const { Cell::new(None) };
    static LEASE: Lease = const { Lease { index: Cell::new(None) } };
}

impl Lease {
    fn shard(&self) -> Option<&'static Shard> {
        let index = LEDGER.pool.lend()?;
        self.index.set(Some(index));
        let shard = LEDGER.pool.shard(index);
        MINE.set(Some(shard));
        Some(shard)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            MINE.set(None);
            LEDGER.pool.take_back(index);
        }
    }
}

/// A line for a site, once; `other` when there is none left.
pub(super) fn open_line() -> Line {
    LEDGER.book.open_line()
}

/// Counts a call that peaked at `peak_bytes`.
#[inline]
pub(super) fn record(line: Line, peak_bytes: u64) {
    let bucket = Bucket::of(peak_bytes);
    let counted = MINE
        .get()
        .is_some_and(|shard| shard.record(line, bucket, peak_bytes));
    if !counted {
        record_slowly(line, bucket, peak_bytes);
    }
}

/// The thread has no shard yet, or something is in the way there.
#[cold]
#[inline(never)]
fn record_slowly(line: Line, bucket: Bucket, peak_bytes: u64) {
    // Without a lease all shards are lent, or this thread is ending and has given its own back.
    let shard = MINE
        .get()
        .or_else(|| LEASE.try_with(Lease::shard).ok().flatten());
    match shard {
        Some(shard) => shard.record_slowly(line, bucket, peak_bytes, &LEDGER.book),
        None => LEDGER.book.record(line, bucket, peak_bytes),
    }
}

/// What was recorded on `line` until now, by threads that live and by those that ended.
pub(super) fn totals(line: Line) -> Totals {
    let hold = LEDGER.book.hold(line);
    for _ in 0..PATIENCE {
        if hold.is_settled() {
            break;
        }
        std::thread::yield_now();
    }
    let mut histogram = Histogram::new();
    let mut peak_bytes = 0;
    let unsorted_calls = hold.visit(|bucket, calls| histogram.add(bucket, calls));
    histogram.add_unsorted(unsorted_calls);
    for shard in LEDGER.pool.used() {
        let shard_peak_bytes = shard.visit(line, |bucket, calls| histogram.add(bucket, calls));
        peak_bytes = shard_peak_bytes.max(peak_bytes);
    }
    Totals {
        calls: histogram.calls(),
        peak_bytes: hold.peak_bytes().max(peak_bytes),
        histogram,
    }
}

#[cfg(test)]
mod tests;
