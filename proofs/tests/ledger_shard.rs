//! The ledger: calls that move from a shard to the book are neither missed nor counted twice, whoever reads meanwhile, and a
//! shard goes from thread to thread with all its calls.
//!
//! loom lets no load see a later store, so two orderings can't fail here: the Release that ends a hold and the Acquire that
//! starts a move.

#![allow(
    dead_code,
    reason = "the library's files, of which a model uses its part"
)]

mod sys;

/// Stands for the ledger's own: loom's atomics can't be made in constants.
macro_rules! array {
    ($make:expr) => {
        std::array::from_fn(|_| $make)
    };
}

#[path = "../../src/scope/ledger/book.rs"]
mod book;
#[path = "../../src/scope/ledger/bucket.rs"]
mod bucket;
#[path = "../../src/scope/ledger/chunks.rs"]
mod chunks;
#[path = "../../src/scope/ledger/pool.rs"]
mod pool;
#[path = "../../src/scope/ledger/shard.rs"]
mod shard;

use std::sync::Arc;

use book::{Book, Line};
use bucket::Bucket;
use pool::Pool;

const LINES: usize = 2;
/// One chunk, and so one line that has its calls by bucket: the other's are unsorted.
const CHUNKS: usize = 1;
const GROUPS: usize = 1;
const WORDS: usize = 1;

type Shard = shard::Shard<1, WORDS>;

struct Ledger {
    book: Book<LINES, CHUNKS, GROUPS>,
    pool: Pool<1, 1, WORDS>,
}

/// The two lines, which share the only place, and two buckets, which share its only word.
const LINE: Line = Line::OTHER;
const LOW: u64 = 0;
const HIGH: u64 = 1024;

fn other_line() -> Line {
    Line::from_index(1)
}

impl Ledger {
    fn new() -> Arc<Self> {
        Arc::new(Ledger {
            book: Book::new(),
            pool: Pool::new(),
        })
    }

    fn record(&self, shard: &Shard, line: Line, peak_bytes: u64) {
        let bucket = Bucket::of(peak_bytes);
        if !shard.record(line, bucket, peak_bytes) {
            shard.record_slowly(line, bucket, peak_bytes, &self.book);
        }
    }

    /// As a thread that may find no shard.
    fn record_on_a_lease(&self, line: Line, peak_bytes: u64) {
        match self.pool.lend() {
            Some(index) => {
                self.record(self.pool.shard(index), line, peak_bytes);
                self.pool.take_back(index);
            }
            None => self.book.record(line, Bucket::of(peak_bytes), peak_bytes),
        }
    }

    /// Calls and peak; a call in a high bucket must have its peak.
    fn totals(&self, line: Line) -> (u64, u64) {
        let hold = self.book.hold(line);
        while !hold.is_settled() {
            loom::thread::yield_now();
        }
        let (mut calls, mut is_high) = (0, false);
        let mut count = |bucket: Bucket, more: u64| {
            calls += more;
            is_high |= bucket.number() > 0;
        };
        let unsorted_calls = hold.visit(&mut count);
        let mut peak_bytes = 0;
        for shard in self.pool.used() {
            peak_bytes = peak_bytes.max(shard.visit(line, &mut count));
        }
        peak_bytes = peak_bytes.max(hold.peak_bytes());
        assert!(!is_high || peak_bytes >= HIGH, "a call without its peak");
        (calls + unsorted_calls, peak_bytes)
    }
}

/// Every order of steps in which no thread is interrupted more than three times at a step where it could go on.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn a_reader_neither_misses_nor_doubles_what_moves_to_another_bucket() {
    model(|| {
        let ledger = Ledger::new();
        let index = ledger.pool.lend().unwrap();
        ledger.record(ledger.pool.shard(index), LINE, LOW);
        let writer = {
            let ledger = ledger.clone();
            loom::thread::spawn(move || {
                let shard = ledger.pool.shard(index);
                ledger.record(shard, LINE, HIGH);
                ledger.record(shard, LINE, HIGH);
            })
        };
        let (first, _) = ledger.totals(LINE);
        let (second, _) = ledger.totals(LINE);
        assert!(
            1 <= first && first <= second && second <= 3,
            "{first}, then {second}"
        );
        writer.join().unwrap();
        assert_eq!(ledger.totals(LINE), (3, HIGH));
    });
}

#[test]
fn readers_of_both_lines_are_right_while_a_place_turns() {
    model(|| {
        let ledger = Ledger::new();
        let index = ledger.pool.lend().unwrap();
        let shard = ledger.pool.shard(index);
        ledger.record(shard, LINE, HIGH);
        // Of the other line until the next one gets the place.
        (0..8).for_each(|_| ledger.record(shard, other_line(), LOW));
        let writer = {
            let ledger = ledger.clone();
            loom::thread::spawn(move || {
                let shard = ledger.pool.shard(index);
                ledger.record(shard, other_line(), LOW);
                ledger.record(shard, other_line(), LOW);
            })
        };
        assert_eq!(ledger.totals(LINE), (1, HIGH));
        let (calls, peak_bytes) = ledger.totals(other_line());
        assert!((8..=10).contains(&calls) && peak_bytes == LOW);
        writer.join().unwrap();
        assert_eq!(ledger.totals(LINE), (1, HIGH));
        assert_eq!(ledger.totals(other_line()), (10, LOW));
    });
}

#[test]
fn a_shard_goes_to_the_next_thread_with_its_calls() {
    model(|| {
        let ledger = Ledger::new();
        let threads = [LOW, HIGH].map(|peak_bytes| {
            let ledger = ledger.clone();
            loom::thread::spawn(move || ledger.record_on_a_lease(LINE, peak_bytes))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(ledger.totals(LINE), (2, HIGH));
    });
}
