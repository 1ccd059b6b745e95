//! [`Book`]: what all threads share of the ledger, one record per line.
//!
//! Calls reach it in two ways, and neither ever waits:
//!
//! ```text
//! record       one call, added at once: seen or not, by any reader at any time
//! start_move   calls that a shard holds, added here and then taken off there. A reader in between would count them twice, so
//!              a move starts only when no reader holds the line; else the shard keeps what it has, and the call at hand
//!              is recorded here instead
//! hold         a reader: no move starts until it lets go, and the few that are under way are waited for
//! ```

use super::bucket::Bucket;
use super::chunks::Chunks;
use crate::sys::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, const_fn};

/// Which line of the ledger a site writes to; line 0 is `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line(u16);

impl Line {
    pub(crate) const OTHER: Line = Line(0);
    pub(crate) const COUNT: usize = 4096;

    #[inline]
    pub(crate) fn index(self) -> u16 {
        self.0
    }

    /// The line whose `index` this was.
    #[inline]
    pub(crate) fn from_index(index: u16) -> Line {
        Line(index)
    }
}

/// In `Record::state`: moves under way in the lower half, readers in the upper.
const MOVE: u32 = 1;
const READER: u32 = 1 << 16;

struct Record {
    peak_bytes: AtomicU64,
    /// Calls that found no chunk.
    unsorted_calls: AtomicU64,
    /// Changed by read-modify-write only, so every move that ended is seen by the readers that start later, and the other way
    /// round.
    state: AtomicU32,
}

pub(crate) struct Book<const LINES: usize, const CHUNKS: usize, const GROUPS: usize> {
    opened: AtomicU16,
    records: [Record; LINES],
    chunks: Chunks<CHUNKS, GROUPS>,
}

impl Record {
    const_fn! {
        fn new() -> Self {
            Record {
                peak_bytes: AtomicU64::new(0),
                unsorted_calls: AtomicU64::new(0),
                state: AtomicU32::new(0),
            }
        }
    }

    fn raise_peak(&self, peak_bytes: u64) {
        if peak_bytes > self.peak_bytes.load(Ordering::Relaxed) {
            self.peak_bytes.fetch_max(peak_bytes, Ordering::Relaxed);
        }
    }
}

impl<const LINES: usize, const CHUNKS: usize, const GROUPS: usize> Book<LINES, CHUNKS, GROUPS> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Book {
                opened: AtomicU16::new(0),
                records: array![Record::new()],
                chunks: Chunks::new(),
            }
        }
    }

    /// The next free line, or `other` once all are taken.
    pub(crate) fn open_line(&self) -> Line {
        self.opened
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |opened| {
                (usize::from(opened) + 1 < LINES).then_some(opened + 1)
            })
            .map_or(Line::OTHER, |before| Line::from_index(before + 1))
    }

    fn record_of(&self, line: Line) -> &Record {
        &self.records[usize::from(line.index()) % LINES]
    }

    /// Counts one call.
    pub(crate) fn record(&self, line: Line, bucket: Bucket, peak_bytes: u64) {
        self.record_of(line).raise_peak(peak_bytes);
        self.add(line, bucket, 1);
    }

    fn add(&self, line: Line, bucket: Bucket, calls: u64) {
        if !self.chunks.add(line, bucket, calls) {
            self.record_of(line)
                .unsorted_calls
                .fetch_add(calls, Ordering::Release);
        }
    }

    /// Opens the way for calls from a shard to here. `None` while a reader holds the line, or when another move starts at
    /// this moment.
    pub(crate) fn start_move(&self, line: Line) -> Option<Move<'_, LINES, CHUNKS, GROUPS>> {
        let state = &self.record_of(line).state;
        let now = state.load(Ordering::Relaxed);
        // Acquire: readers that let go have read all they wanted before anything moves.
        let started = now < READER
            && state
                .compare_exchange(now, now + MOVE, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        started.then(|| Move { book: self, line })
    }

    /// Keeps calls from moving until the hold is dropped.
    pub(crate) fn hold(&self, line: Line) -> Hold<'_, LINES, CHUNKS, GROUPS> {
        self.record_of(line)
            .state
            .fetch_add(READER, Ordering::Relaxed);
        Hold { book: self, line }
    }
}

/// A move of calls under way.
pub(crate) struct Move<'a, const LINES: usize, const CHUNKS: usize, const GROUPS: usize> {
    book: &'a Book<LINES, CHUNKS, GROUPS>,
    line: Line,
}

impl<const LINES: usize, const CHUNKS: usize, const GROUPS: usize> Move<'_, LINES, CHUNKS, GROUPS> {
    pub(crate) fn raise_peak(&self, peak_bytes: u64) {
        self.book.record_of(self.line).raise_peak(peak_bytes);
    }

    pub(crate) fn add(&self, bucket: Bucket, calls: u64) {
        self.book.add(self.line, bucket, calls);
    }
}

impl<const LINES: usize, const CHUNKS: usize, const GROUPS: usize> Drop
    for Move<'_, LINES, CHUNKS, GROUPS>
{
    fn drop(&mut self) {
        // Release: both sides of the move are done for whoever sees it ended.
        let state = &self.book.record_of(self.line).state;
        state.fetch_sub(MOVE, Ordering::Release);
    }
}

/// A reader's hold on a line.
pub(crate) struct Hold<'a, const LINES: usize, const CHUNKS: usize, const GROUPS: usize> {
    book: &'a Book<LINES, CHUNKS, GROUPS>,
    line: Line,
}

impl<const LINES: usize, const CHUNKS: usize, const GROUPS: usize> Hold<'_, LINES, CHUNKS, GROUPS> {
    /// Whether no move that started before the hold is still under way. Once true, it stays true; to be asked before anything
    /// is read.
    pub(crate) fn is_settled(&self) -> bool {
        // Acquire: all that earlier moves did.
        let state = &self.book.record_of(self.line).state;
        state.load(Ordering::Acquire).is_multiple_of(READER)
    }

    /// Visits what is counted here by bucket; returns the calls that are in none.
    pub(crate) fn visit(&self, visit: impl FnMut(Bucket, u64)) -> u64 {
        self.book.chunks.visit(self.line, visit);
        self.book
            .record_of(self.line)
            .unsorted_calls
            .load(Ordering::Acquire)
    }

    /// The highest peak here. To be read after the calls: it is raised before they are counted.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let record = self.book.record_of(self.line);
        record.peak_bytes.load(Ordering::Relaxed)
    }
}

impl<const LINES: usize, const CHUNKS: usize, const GROUPS: usize> Drop
    for Hold<'_, LINES, CHUNKS, GROUPS>
{
    fn drop(&mut self) {
        // Release: the next move comes after all that was read.
        let state = &self.book.record_of(self.line).state;
        state.fetch_sub(READER, Ordering::Release);
    }
}
