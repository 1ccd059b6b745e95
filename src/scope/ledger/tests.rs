//! The ledger against exact counts: whoever records, however long the thread lives, whatever is in the way, and whoever reads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn on_a_thread(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap();
    });
}

/// What a book alone says.
fn read<const LINES: usize, const CHUNKS: usize>(
    book: &Book<LINES, CHUNKS, GROUPS>,
    line: Line,
) -> Histogram {
    let mut histogram = Histogram::new();
    let hold = book.hold(line);
    let unsorted_calls = hold.visit(|bucket, calls| histogram.add(bucket, calls));
    histogram.add_unsorted(unsorted_calls);
    histogram
}

fn count<const LINES: usize, const CHUNKS: usize>(
    shard: &Shard,
    book: &Book<LINES, CHUNKS, GROUPS>,
    line: Line,
    bytes: u64,
) {
    let bucket = Bucket::of(bytes);
    if !shard.record(line, bucket, bytes) {
        shard.record_slowly(line, bucket, bytes, book);
    }
}

#[test]
fn buckets_meet_at_their_edges() {
    for (bytes, upper_bytes) in [
        (0, KIB),
        (1023, KIB),
        (1024, 1152),
        (1151, 1152),
        (1152, 1280),
        (2047, 2048),
        (2048, 2304),
        (MIB, MIB + MIB / 8),
        (37 * MIB, 40 * MIB),
        (1 << 63, (1 << 63) + (1 << 60)),
        (u64::MAX, u64::MAX),
    ] {
        assert_eq!(Bucket::of(bytes).upper_bytes(), upper_bytes, "{bytes}");
    }
    assert_eq!(Bucket::of(u64::MAX).number(), BUCKETS - 1);
    let mut lower_bytes = 0;
    for number in 0..BUCKETS {
        let upper_bytes = Bucket::from_number(number).upper_bytes();
        assert_eq!(Bucket::of(lower_bytes).number(), number);
        assert_eq!(Bucket::of(upper_bytes - 1).number(), number);
        assert!(number == 0 || upper_bytes - lower_bytes <= lower_bytes / 8);
        lower_bytes = upper_bytes;
    }
}

/// As likely in any octave.
fn peaks() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64u32).prop_map(|(bits, shift)| bits >> shift)
}

proptest! {
    #[test]
    fn every_size_is_below_the_upper_edge_of_its_own_bucket_only(bytes in peaks()) {
        let bucket = Bucket::of(bytes);
        prop_assert!(bucket.number() < BUCKETS);
        prop_assert!(bytes < bucket.upper_bytes() || bytes == u64::MAX);
        if let Some(lower) = bucket.number().checked_sub(1) {
            prop_assert!(bytes >= Bucket::from_number(lower).upper_bytes());
        }
    }

    #[test]
    fn a_quantile_is_the_upper_edge_above_the_sorted_peak(
        mut peaks in prop::collection::vec(peaks(), 1..200),
        q in 0.0..=1.0f64,
    ) {
        let mut histogram = Histogram::new();
        peaks.iter().for_each(|&bytes| histogram.add(Bucket::of(bytes), 1));
        peaks.sort_unstable();
        let rank = (q * peaks.len() as f64).ceil() as usize;
        let expected = Bucket::of(peaks[rank.max(1) - 1]).upper_bytes();
        prop_assert_eq!(histogram.quantile_bytes(q), Some(expected));
    }

    #[test]
    fn totals_are_exact_for_any_peaks(peaks in prop::collection::vec(peaks(), 0..500)) {
        let (book, shard) = (Book::<1, 64, GROUPS>::new(), Shard::new());
        let mut expected = [0; BUCKETS];
        for &bytes in &peaks {
            count(&shard, &book, Line::OTHER, bytes);
            expected[Bucket::of(bytes).number()] += 1;
        }
        let (mut histogram, hold) = (read(&book, Line::OTHER), book.hold(Line::OTHER));
        let peak_bytes = shard.visit(Line::OTHER, |bucket, calls| histogram.add(bucket, calls));
        prop_assert_eq!(histogram.calls_by_bucket(), &expected);
        prop_assert_eq!(
            hold.peak_bytes().max(peak_bytes),
            peaks.iter().copied().max().unwrap_or(0)
        );
    }
}

#[test]
fn an_empty_line_has_no_quantile_and_odd_shares_have_the_nearest() {
    let mut histogram = Histogram::new();
    assert_eq!(histogram.quantile_bytes(0.5), None);
    assert_eq!(histogram.suggestion(), None);
    histogram.add(Bucket::of(0), 1);
    histogram.add(Bucket::of(MIB), 1);
    for q in [-1.0, 0.0, f64::NAN] {
        assert_eq!(histogram.quantile_bytes(q), Some(KIB));
    }
    for q in [1.0, 2.0, f64::INFINITY] {
        assert_eq!(histogram.quantile_bytes(q), Some(MIB + MIB / 8));
    }
}

#[test]
fn a_suggestion_leaves_the_highest_hundredth_out() {
    let mut histogram = Histogram::new();
    histogram.add(Bucket::of(30 * MIB), 40_590);
    histogram.add(Bucket::of(4 << 30), 410);
    let suggestion = histogram.suggestion().unwrap();
    assert_eq!(
        suggestion.to_string(),
        "p99 of 41,000 calls is 32 MiB; suggest `#[memory_limit(37)]`"
    );
    assert_eq!(histogram.suggested_limit_bytes(), Some(37 * MIB));
    histogram.add(Bucket::of(4 << 30), 1);
    assert!(histogram.suggested_limit_bytes() > Some(4 << 30));
}

#[test]
fn a_reader_sees_calls_only_grow_and_each_with_its_peak() {
    const CALLS: u64 = 200_000;
    let lines = [(); PLACES + 8].map(|()| open_line());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = [0; PLACES + 8];
                while !done.load(Ordering::Relaxed) {
                    for (line, seen) in lines.iter().zip(&mut seen) {
                        let totals = totals(*line);
                        assert!(totals.calls >= *seen, "{} after {seen}", totals.calls);
                        *seen = totals.calls;
                        let highest = totals.histogram.quantile_bytes(1.0).unwrap_or(0);
                        assert!(Bucket::of(totals.peak_bytes).upper_bytes() >= highest);
                    }
                }
            });
        }
        let writers = [1u64, 2, 3].map(|seed| {
            scope.spawn(move || {
                for n in 0..CALLS {
                    // Lines that get into each other's way, and octaves that do.
                    let line = lines[(n / 16 * seed) as usize % lines.len()];
                    record(line, 1 << (10 + (n / 5 + seed) % 30));
                }
            })
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let calls: u64 = lines.iter().map(|line| totals(*line).calls).sum();
    assert_eq!(calls, 3 * CALLS);
}

#[test]
fn threads_without_a_shard_count_too() {
    const THREADS: usize = SHARDS + 40;
    let line = open_line();
    let all_recorded = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let all_recorded = &all_recorded;
            scope.spawn(move || {
                record(line, n as u64 * KIB);
                all_recorded.wait();
                record(line, MIB);
            });
        }
        all_recorded.wait();
    });
    let totals = totals(line);
    assert_eq!(totals.calls, 2 * THREADS as u64);
    assert_eq!(totals.peak_bytes, MIB);
}

#[test]
fn lines_that_share_a_place_take_turns() {
    let lines = [(); 4 * PLACES].map(|()| open_line());
    on_a_thread(|| {
        for round in 1..=30 {
            for &line in &lines {
                record(line, round * KIB);
            }
        }
    });
    for line in lines {
        let totals = totals(line);
        assert_eq!((totals.calls, totals.peak_bytes), (30, 30 * KIB));
        assert_eq!(
            totals.histogram.quantile_bytes(1.0),
            Some(Bucket::of(30 * KIB).upper_bytes())
        );
    }
}

#[test]
fn threads_that_record_once_are_not_forgotten() {
    let line = open_line();
    let with_shard = AtomicUsize::new(0);
    for n in 0..2_000 {
        on_a_thread(|| {
            record(line, n);
            with_shard.fetch_add(usize::from(MINE.get().is_some()), Ordering::Relaxed);
        });
    }
    // Which only works out if each gives its own back.
    assert!(with_shard.into_inner() > SHARDS);
    let totals = totals(line);
    assert_eq!((totals.calls, totals.peak_bytes), (2_000, 1_999));
}

#[test]
fn a_thread_that_gave_its_shard_back_still_counts() {
    struct RecordsLate(Cell<Line>);
    impl Drop for RecordsLate {
        fn drop(&mut self) {
            assert!(MINE.get().is_none());
            record(self.0.get(), MIB);
            assert!(MINE.get().is_none());
        }
    }
    thread_local! {
        static LATE: RecordsLate = const { RecordsLate(Cell::new(Line::OTHER)) };
    }
    let line = open_line();
    on_a_thread(|| {
        // Its destructor runs after the lease's, which is made later.
        LATE.with(|late| late.0.set(line));
        record(line, KIB);
    });
    let totals = totals(line);
    assert_eq!((totals.calls, totals.peak_bytes), (2, MIB));
}

#[test]
fn a_word_that_is_full_moves_to_the_book() {
    let line = open_line();
    on_a_thread(|| (0..10_000).for_each(|_| record(line, 3 * MIB)));
    let totals = totals(line);
    assert_eq!(totals.calls, 10_000);
    assert_eq!(
        totals.histogram.quantile_bytes(0.5),
        Some(3 * MIB + MIB / 4)
    );
}

#[test]
fn after_the_last_line_all_sites_are_other() {
    let book = Book::<{ Line::COUNT }, 1, GROUPS>::new();
    let lines: Vec<Line> = (0..5_000).map(|_| book.open_line()).collect();
    for (number, line) in lines.iter().enumerate() {
        let expected = if number + 1 < Line::COUNT {
            number as u16 + 1
        } else {
            0
        };
        assert_eq!(line.index(), expected);
        assert_eq!(Line::from_index(line.index()), *line);
    }
    assert_eq!(lines[4_999], Line::OTHER);
}

#[test]
fn calls_without_a_chunk_count_but_have_no_quantile() {
    let book = Book::<4, 2, GROUPS>::new();
    let (fits, does_not) = (book.open_line(), book.open_line());
    book.record(fits, Bucket::of(KIB), KIB);
    book.record(fits, Bucket::of(MIB), MIB);
    book.record(does_not, Bucket::of(KIB), KIB);
    assert_eq!(read(&book, fits).calls(), 2);
    assert!(read(&book, fits).quantile_bytes(1.0).is_some());
    let without = read(&book, does_not);
    assert_eq!((without.calls(), without.quantile_bytes(0.5)), (1, None));
    assert_eq!(without.suggestion(), None);
    // What has a chunk goes on being sorted, beside calls that have none.
    book.record(fits, Bucket::of(1 << 40), 1 << 40);
    book.record(fits, Bucket::of(KIB), KIB);
    assert_eq!(read(&book, fits).calls(), 4);
    assert_eq!(read(&book, fits).calls_by_bucket().iter().sum::<u64>(), 3);
    assert_eq!(read(&book, fits).quantile_bytes(0.5), None);
}

#[test]
fn nothing_moves_while_a_reader_holds_the_line() {
    let (book, shard) = (Book::<1, 8, GROUPS>::new(), Shard::new());
    let line = Line::OTHER;
    count(&shard, &book, line, KIB);
    let hold = book.hold(line);
    // The same word, four octaves up.
    count(&shard, &book, line, 16 * KIB);
    let mut in_shard = Vec::new();
    let peak_bytes = shard.visit(line, |bucket, calls| in_shard.push((bucket, calls)));
    assert_eq!((in_shard, peak_bytes), (vec![(Bucket::of(KIB), 1)], KIB));
    assert_eq!(hold.peak_bytes(), 16 * KIB);
    drop(hold);
    assert_eq!(read(&book, line).calls(), 1);
    count(&shard, &book, line, 16 * KIB);
    assert_eq!(read(&book, line).calls(), 2);
}

#[test]
fn a_place_turns_to_a_line_that_comes_again_and_again() {
    let (book, shard) = (Book::<64, 8, GROUPS>::new(), Shard::new());
    let (first, second) = (Line::OTHER, Line::from_index(PLACES as u16));
    let in_shard = |line| {
        let mut in_shard = 0;
        shard.visit(line, |_, calls| in_shard += calls);
        in_shard
    };
    count(&shard, &book, first, KIB);
    (0..8).for_each(|_| count(&shard, &book, second, KIB));
    assert_eq!((in_shard(first), in_shard(second)), (1, 0));
    (0..8).for_each(|_| count(&shard, &book, second, KIB));
    assert_eq!((in_shard(first), in_shard(second)), (0, 8));
    assert_eq!(read(&book, first).calls(), 1);
    assert_eq!(read(&book, second).calls(), 8);
    count(&shard, &book, first, KIB);
    assert_eq!((in_shard(first), in_shard(second)), (0, 8));
}

#[test]
fn a_move_that_a_fork_cut_off_stops_no_reader() {
    let line = open_line();
    record(line, KIB);
    std::mem::forget(LEDGER.book.start_move(line));
    assert!(!LEDGER.book.hold(line).is_settled());
    assert_eq!(totals(line).calls, 1);
}
