//! The pool beside a source whose readings the test sets.

mod model;
mod threads;
mod waiting;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::bytes::ByteSize;
use crate::meter::clock;
use crate::sys::clock::coarse_ms;
use crate::sys::wake::fake::Woken;
use crate::usage::{Bound, Limit, LimitSource, Usage};

const GIB: u64 = 1 << 30;

/// Limits in the tests are far below the forecast's slack, so that every request takes a reading, unless a test says GIB.
struct Fake {
    limit_bytes: AtomicU64,
    used_bytes: AtomicU64,
    unknown: AtomicBool,
    under_pressure: AtomicBool,
    readings: AtomicU64,
    rings: AtomicU64,
}

impl Source for Fake {
    fn usage(&self) -> Usage {
        self.readings.fetch_add(1, Ordering::SeqCst);
        let source = LimitSource::Builder;
        let bound = Bound {
            limit_bytes: self.limit_bytes.load(Ordering::SeqCst),
            used_bytes: self.used_bytes.load(Ordering::SeqCst),
            source,
        };
        let known = !self.unknown.load(Ordering::SeqCst);
        Usage {
            rss_bytes: bound.used_bytes,
            virtual_bytes: None,
            swap_bytes: None,
            peak_rss_bytes: bound.used_bytes,
            used_bytes: bound.used_bytes,
            heap: None,
            limit: Limit {
                bytes: known.then_some(bound.limit_bytes),
                source,
            },
            binding: known.then_some(bound),
            all_limits_known: known,
            system_total_bytes: None,
            system_available_bytes: None,
            slow_facts_age_ms: 0,
            unused_bytes: 0,
        }
    }

    fn may_promise(&self) -> bool {
        !self.under_pressure.load(Ordering::SeqCst)
    }

    fn somebody_waits(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
    }
}

fn open(limit_bytes: u64) -> (Arc<Fake>, Arc<Pool>) {
    let fake = Arc::new(Fake {
        limit_bytes: AtomicU64::new(limit_bytes),
        used_bytes: AtomicU64::new(0),
        unknown: AtomicBool::new(false),
        under_pressure: AtomicBool::new(false),
        readings: AtomicU64::new(0),
        rings: AtomicU64::new(0),
    });
    let source: Weak<dyn Source> = Arc::downgrade(&fake) as Weak<dyn Source>;
    let pool = Pool::new(source);
    (fake, pool)
}

fn poll(future: &mut Reserving, woken: &Arc<Woken>) -> Poll<Result<Reservation, ReserveError>> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// A request that waits: it has been polled, and is not ready.
fn waits(pool: &Arc<Pool>, bytes: u64) -> (Reserving, Arc<Woken>) {
    let woken = Arc::new(Woken::default());
    let mut future = Reserving::new(pool, bytes);
    assert!(poll(&mut future, &woken).is_pending());
    (future, woken)
}

fn granted(future: &mut Reserving) -> Reservation {
    match poll(future, &Arc::default()) {
        Poll::Ready(Ok(reservation)) => reservation,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn only_what_is_not_filled_is_outstanding() {
    let (_fake, pool) = open(1000);
    let mut reservation = pool.try_reserve(600).unwrap();
    reservation.tab().fill(200);
    assert_eq!(pool.unfilled_bytes(), 400);
    reservation.tab().fill(500);
    assert_eq!(
        (pool.unfilled_bytes(), reservation.unfilled_bytes()),
        (0, 0)
    );
    reservation.tab().fill(-650);
    assert_eq!(pool.unfilled_bytes(), 550);
    reservation.shrink(ByteSize::bytes(100));
    assert_eq!(
        (reservation.reserved_bytes(), pool.unfilled_bytes()),
        (500, 450)
    );
    reservation.grow(ByteSize::bytes(50)).unwrap();
    assert_eq!(pool.unfilled_bytes(), 500);
    let tab = Arc::clone(reservation.tab());
    drop(reservation);
    tab.fill(-10_000);
    assert_eq!(
        pool.unfilled_bytes(),
        0,
        "a scope that outlives its reservation"
    );
}

#[test]
fn a_scope_that_frees_what_others_allocated_counts_no_more_than_was_reserved() {
    let (_fake, pool) = open(1000);
    let mut reservation = pool.try_reserve(600).unwrap();
    for _ in 0..100 {
        reservation.tab().fill(-500);
        assert_eq!(pool.unfilled_bytes(), 600);
    }
    drop(pool.try_reserve(400).unwrap());
    // What it freed before leaves no credit: what it holds itself fills from the first byte.
    reservation.tab().fill(250);
    assert_eq!(pool.unfilled_bytes(), 350);
    reservation.shrink(ByteSize::bytes(300));
    reservation.tab().fill(-1000);
    assert_eq!(pool.unfilled_bytes(), 300);
    reservation.grow(ByteSize::bytes(100)).unwrap();
    let part = reservation.split(ByteSize::bytes(150)).unwrap();
    reservation.tab().fill(i64::MIN);
    assert_eq!(
        (reservation.unfilled_bytes(), part.unfilled_bytes()),
        (250, 150)
    );
    reservation.tab().fill(i64::MAX);
    assert_eq!(pool.unfilled_bytes(), 150);
}

#[test]
fn a_split_moves_and_a_filled_reservation_has_nothing_to_split() {
    let (_fake, pool) = open(1000);
    let mut reservation = pool.try_reserve(600).unwrap();
    reservation.tab().fill(500);
    let refused = reservation.split(ByteSize::bytes(101)).unwrap_err();
    assert_eq!(
        refused,
        ReserveError::AlreadyFilled {
            requested_bytes: 101,
            unfilled_bytes: 100
        }
    );
    let part = reservation.split(ByteSize::bytes(100)).unwrap();
    assert_eq!(
        (reservation.reserved_bytes(), part.reserved_bytes()),
        (500, 100)
    );
    assert_eq!(pool.unfilled_bytes(), 100);
    reservation.tab().fill(-2000);
    let refused = reservation.split(ByteSize::bytes(501)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "501 B can't be split off a reservation of which 500 B are left; split less, or before it is filled"
    );
    reservation.shrink(ByteSize::bytes(u64::MAX));
    assert_eq!(reservation.reserved_bytes(), 0);
}

#[test]
fn errors_say_what_to_do_next() {
    let (fake, pool) = open(1000);
    fake.used_bytes.store(300, Ordering::SeqCst);
    let _held = pool.try_reserve(600).unwrap();
    let table = [
        (
            101,
            "no room for 101 B: headroom is 700 B, of which 600 B are reserved and 0 B waited for; wait, or ask for less",
        ),
        (
            1001,
            "1001 B are more than the whole limit of 1000 B; ask for less, or raise it",
        ),
    ];
    for (bytes, text) in table {
        assert_eq!(pool.try_reserve(bytes).unwrap_err().to_string(), text);
    }
    for bytes in [u64::MAX, i64::MAX as u64 + 1, 1 << 60] {
        let error = pool.try_reserve(bytes).unwrap_err();
        assert!(matches!(error, ReserveError::AboveLimit { .. }), "{error}");
    }
    fake.unknown.store(true, Ordering::SeqCst);
    let unknown = pool.try_reserve(1).unwrap_err();
    assert!(
        unknown.to_string().contains("set PLIMSOLL_MEMORY_LIMIT"),
        "{unknown}"
    );
    assert_eq!(pool.unfilled_bytes(), 600, "what was refused left no trace");
    drop(fake);
    let gone = pool.try_reserve(1).unwrap_err();
    assert_eq!(gone, ReserveError::ManagerGone { requested_bytes: 1 });
}

#[test]
fn nothing_is_granted_trivially() {
    let (fake, pool) = open(10);
    fake.used_bytes.store(20, Ordering::SeqCst);
    let none = pool.try_reserve(0).unwrap();
    assert_eq!((none.reserved_bytes(), pool.unfilled_bytes()), (0, 0));
    assert_eq!(fake.readings.load(Ordering::SeqCst), 0);
}

#[test]
fn as_long_as_there_is_plenty_one_reading_is_enough() {
    let (fake, pool) = open(16 * GIB);
    let readings = || fake.readings.load(Ordering::SeqCst);
    clock::advance(1);
    let start_ms = coarse_ms();
    pool.look();
    assert_eq!(readings(), 1);
    let held: Vec<_> = (0..10).map(|_| pool.try_reserve(GIB).unwrap()).collect();
    // On a machine so busy that this takes long, readings grow old.
    let grown_old = (coarse_ms() - start_ms) / 500;
    assert!(readings() <= 1 + grown_old);
    assert_eq!(pool.unfilled_bytes(), 10 * GIB);
    // The slack of 512 MiB and what the clock has seen are not given away without a look.
    clock::advance(5 * GIB);
    fake.used_bytes.store(5 * GIB, Ordering::SeqCst);
    let before = readings();
    let last = pool.try_reserve(GIB).unwrap();
    assert_eq!(readings(), before + 1);
    assert!(pool.try_reserve(1).is_err());
    drop((held, last));
    assert_eq!(pool.unfilled_bytes(), 0);
}
