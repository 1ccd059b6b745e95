//! [`Shard`]: what one thread at a time counts, without a read-modify-write.
//!
//! A line has one place in a shard and shares it with the lines that are a multiple of `PLACES` away; a bucket has one word in
//! a place and shares it with the buckets that are a multiple of `WORDS` away. Who finds another's calls there moves them to
//! the book.
//!
//! ```text
//! word, 16 bits    round: 4    calls: 12          bucket = round * WORDS + index of the word
//! ```

use super::book::{Book, Line};
use super::bucket::Bucket;
use crate::sys::atomic::{AtomicU16, AtomicU64, Ordering, const_fn};

const CALLS_BITS: u32 = 12;
const MAX_CALLS: u32 = (1 << CALLS_BITS) - 1;
/// So many rounds a word can tell apart.
pub(crate) const ROUNDS: usize = 1 << (16 - CALLS_BITS);
/// So many calls of other lines go to the book before one of these lines gets the place: lines that take turns all the time
/// would move more than they count.
const FOREIGN_CALLS: u16 = 8;

struct Place<const WORDS: usize> {
    /// The index of the line it counts for. Before the first that is `other`, which then has no calls here.
    owner: AtomicU16,
    /// Calls of other lines since it turned to this one.
    foreign_calls: AtomicU16,
    peak_bytes: AtomicU64,
    words: [AtomicU16; WORDS],
}

/// Two cache lines apart: processors fetch them in pairs.
#[repr(align(128))]
pub(crate) struct Shard<const PLACES: usize, const WORDS: usize> {
    places: [Place<WORDS>; PLACES],
}

impl<const WORDS: usize> Place<WORDS> {
    const_fn! {
        fn new() -> Self {
            Place {
                owner: AtomicU16::new(0),
                foreign_calls: AtomicU16::new(0),
                peak_bytes: AtomicU64::new(0),
                words: array![AtomicU16::new(0)],
            }
        }
    }

    /// The word of a bucket, and what it holds when it counts for this bucket and has no calls.
    #[inline]
    fn word(&self, bucket: Bucket) -> (&AtomicU16, u32) {
        let (round, index) = (bucket.number() / WORDS, bucket.number() % WORDS);
        (&self.words[index], (round as u32) << CALLS_BITS)
    }

    /// Counts a call; `false` when the word counts for another bucket or is full.
    #[inline]
    fn count(&self, bucket: Bucket, peak_bytes: u64) -> bool {
        let (word, none) = self.word(bucket);
        let packed = u32::from(word.load(Ordering::Relaxed));
        if packed.wrapping_sub(none) >= MAX_CALLS {
            return false;
        }
        if peak_bytes > self.peak_bytes.load(Ordering::Relaxed) {
            self.peak_bytes.store(peak_bytes, Ordering::Relaxed);
        }
        // Release: whoever sees the call counted sees its peak.
        word.store(packed as u16 + 1, Ordering::Release);
        true
    }

    /// The bucket and the calls of the word at `index`.
    fn content(index: usize, packed: u16) -> (Bucket, u64) {
        let round = usize::from(packed >> CALLS_BITS);
        (
            Bucket::from_number(round * WORDS + index),
            u64::from(packed) & u64::from(MAX_CALLS),
        )
    }

    /// Makes the place count for `line`; `false` when that must wait.
    fn turn_to<const LINES: usize, const CHUNKS: usize, const GROUPS: usize>(
        &self,
        line: Line,
        book: &Book<LINES, CHUNKS, GROUPS>,
    ) -> bool {
        let last = Line::from_index(self.owner.load(Ordering::Relaxed));
        if last == line {
            return true;
        }
        let foreign_calls = self.foreign_calls.load(Ordering::Relaxed);
        if foreign_calls < FOREIGN_CALLS {
            self.foreign_calls
                .store(foreign_calls + 1, Ordering::Relaxed);
            return false;
        }
        let Some(moving) = book.start_move(last) else {
            return false;
        };
        moving.raise_peak(self.peak_bytes.load(Ordering::Relaxed));
        for (index, word) in self.words.iter().enumerate() {
            let (bucket, calls) = Self::content(index, word.load(Ordering::Relaxed));
            if calls > 0 {
                moving.add(bucket, calls);
                word.store(0, Ordering::Relaxed);
            }
        }
        self.peak_bytes.store(0, Ordering::Relaxed);
        self.foreign_calls.store(0, Ordering::Relaxed);
        // Before the move ends: a later reader of the last line must not take the next calls for its own. Release: a
        // reader of the new line finds the words empty.
        self.owner.store(line.index(), Ordering::Release);
        true
    }

    /// Makes the word of `bucket` count for it; `false` when what it holds may not move now.
    fn make_room<const LINES: usize, const CHUNKS: usize, const GROUPS: usize>(
        &self,
        line: Line,
        bucket: Bucket,
        book: &Book<LINES, CHUNKS, GROUPS>,
    ) -> bool {
        let (word, none) = self.word(bucket);
        let packed = word.load(Ordering::Relaxed);
        let (last, calls) = Self::content(bucket.number() % WORDS, packed);
        if calls == 0 {
            word.store(none as u16, Ordering::Relaxed);
            return true;
        }
        if u32::from(packed).wrapping_sub(none) < MAX_CALLS {
            return true;
        }
        let Some(moving) = book.start_move(line) else {
            return false;
        };
        moving.add(last, calls);
        word.store(none as u16, Ordering::Relaxed);
        true
    }
}

impl<const PLACES: usize, const WORDS: usize> Shard<PLACES, WORDS> {
    const_fn! {
        pub(crate) fn new() -> Self {
            Shard {
                places: array![Place::new()],
            }
        }
    }

    #[inline]
    fn place(&self, line: Line) -> &Place<WORDS> {
        &self.places[usize::from(line.index()) % PLACES]
    }

    /// Counts a call if its place and its word are ready for it; `false` calls for [`record_slowly`](Self::record_slowly).
    /// For the thread that has the shard.
    #[inline]
    pub(crate) fn record(&self, line: Line, bucket: Bucket, peak_bytes: u64) -> bool {
        let place = self.place(line);
        place.owner.load(Ordering::Relaxed) == line.index() && place.count(bucket, peak_bytes)
    }

    /// Counts a call, here after what is in its way has moved to the book, or else in the book. For the thread that has the
    /// shard.
    pub(crate) fn record_slowly<const LINES: usize, const CHUNKS: usize, const GROUPS: usize>(
        &self,
        line: Line,
        bucket: Bucket,
        peak_bytes: u64,
        book: &Book<LINES, CHUNKS, GROUPS>,
    ) {
        let place = self.place(line);
        let counted = place.turn_to(line, book)
            && place.make_room(line, bucket, book)
            && place.count(bucket, peak_bytes);
        if !counted {
            book.record(line, bucket, peak_bytes);
        }
    }

    /// Visits what it counts for a line that the caller holds; returns the highest peak.
    pub(crate) fn visit(&self, line: Line, mut visit: impl FnMut(Bucket, u64)) -> u64 {
        let place = self.place(line);
        if place.owner.load(Ordering::Acquire) != line.index() {
            return 0;
        }
        for (index, word) in place.words.iter().enumerate() {
            let (bucket, calls) = Place::<WORDS>::content(index, word.load(Ordering::Acquire));
            if calls > 0 {
                visit(bucket, calls);
            }
        }
        place.peak_bytes.load(Ordering::Relaxed)
    }
}
