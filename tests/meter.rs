//! The meter on a real allocator: what an event sees that no check asked for.

#![cfg(feature = "jemalloc")]

mod support;

use std::hint::black_box;
use std::process::Command;

use plimsoll::{MemoryLimit, OnExceed, Site, checkpoint};
use support::{assert_success, child, is_child};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;
const INTERVAL: u64 = 256 << 10;

fn peak_of(work: impl FnOnce()) -> u64 {
    let scope = MemoryLimit::mib(4096).named("peak").enter();
    work();
    scope.finish().peak_bytes
}

#[track_caller]
fn assert_about(bytes: u64, mib: u64) {
    assert!(
        (mib * MIB - INTERVAL..=mib * MIB + INTERVAL).contains(&bytes),
        "{:.2} MiB instead of {mib}",
        bytes as f64 / MIB as f64
    );
}

#[test]
fn a_realloc_is_not_counted_twice() {
    let shrunk = peak_of(|| {
        let mut block: Vec<u8> = Vec::with_capacity(128 << 20);
        block.resize(100 << 20, 1);
        block.shrink_to_fit();
        black_box(block);
    });
    assert_about(shrunk, 128);
    let grown = peak_of(|| {
        let mut block: Vec<u8> = Vec::with_capacity(60 << 20);
        block.resize(60 << 20, 1);
        block.reserve_exact(1 << 20);
        black_box(block);
    });
    assert_about(grown, 61);
}

#[test]
fn a_peak_between_two_looks_is_seen() {
    let peak = peak_of(|| {
        for size in [1, 30, 2] {
            black_box(vec![1u8; size << 20]);
        }
    });
    assert_about(peak, 30);
    // In small blocks as well, to within an interval.
    let peak = peak_of(|| {
        let kept: Vec<[u8; 1024]> = Vec::new();
        drop(kept);
        let kept: Vec<Box<[u8; 1024]>> = (0..8 << 10).map(|_| Box::new([1; 1024])).collect();
        drop(black_box(kept));
    });
    assert!((8 * MIB - INTERVAL..=9 * MIB).contains(&peak), "{peak}");
}

#[test]
fn a_limit_is_noticed_while_the_work_goes_on() {
    static SITE: Site = Site::new("noticed");
    let scope = MemoryLimit::mib(4).at(&SITE).enter();
    let mut kept = Vec::new();
    while SITE.exceeded_total() == 0 {
        assert!(kept.len() < 8 << 10, "nobody noticed 8 MiB");
        kept.push(Box::new([1u8; 1024]));
    }
    let crossing = SITE.last_crossing().unwrap();
    assert_eq!(crossing.limit_bytes, 4 * MIB);
    assert!(
        (4 * MIB..=4 * MIB + 2 * INTERVAL).contains(&crossing.used_bytes),
        "{crossing:?}"
    );
    // Latched: freeing does not take the verdict back.
    drop(kept);
    assert!(scope.check().is_err());
    assert_eq!(SITE.exceeded_total(), 1);
}

#[test]
fn a_limit_below_the_interval_is_judged_exactly_at_checks() {
    let scope = MemoryLimit::kib(10)
        .on_exceed(OnExceed::Error)
        .named("small")
        .enter();
    let first = black_box(vec![1u8; 8 << 10]);
    assert!(scope.check().is_ok() && checkpoint().is_ok());
    let second = black_box(vec![1u8; 4 << 10]);
    assert!(scope.check().is_err() && checkpoint().is_err());
    drop((first, second));
}

#[test]
fn nesting_folds_bytes_and_peaks_outwards() {
    let outer = MemoryLimit::mib(1000).named("folds outer").enter();
    let kept = vec![1u8; 2 << 20];
    let inner = MemoryLimit::mib(1000).named("folds inner").enter();
    drop(black_box(vec![1u8; 10 << 20]));
    let inside = vec![1u8; 3 << 20];
    let inner = inner.finish();
    assert_about(inner.peak_bytes, 10);
    assert_about(inner.net_bytes as u64, 3);
    let outer = outer.finish();
    assert_about(outer.peak_bytes, 12);
    assert_about(outer.net_bytes as u64, 5);
    drop((kept, inside));
}

/// In a process whose address space ends below it.
#[test]
fn an_allocation_of_ten_gigabytes_that_fails_harms_nothing() {
    const NAME: &str = "an_allocation_of_ten_gigabytes_that_fails_harms_nothing";
    if !is_child() {
        let this = child(NAME);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -v 4000000; exec \"$@\"", "sh"])
            .arg(this.get_program())
            .args(this.get_args())
            .env(support::CHILD, "1");
        return assert_success(&limited.output().unwrap());
    }
    let scope = MemoryLimit::mib(1).named("ten gigabytes").enter();
    let mut block: Vec<u8> = Vec::new();
    assert!(block.try_reserve_exact(10 << 30).is_err());
    // And through realloc, which tells of what it replaces.
    let mut block = vec![1u8; 100 << 10];
    assert!(block.try_reserve_exact(10 << 30).is_err());
    drop(block);
    assert!(scope.check().is_ok());
    let report = scope.finish();
    assert_eq!(report.net_bytes, 0);
    assert!(report.peak_bytes < MIB, "{report:?}");
}
