//! Many threads at once. Nothing ticks here: a wake-up that gets lost stops the test.

use std::time::Duration;

use super::*;

/// Says how much is reserved, and fails when that passes the limit.
struct Ledger(AtomicU64);

impl Ledger {
    fn enter(&self, reservation: &Reservation, limit: u64) {
        let bytes = reservation.reserved_bytes();
        assert!(self.0.fetch_add(bytes, Ordering::SeqCst) + bytes <= limit);
    }

    fn leave(&self, reservation: Reservation) {
        self.0
            .fetch_sub(reservation.reserved_bytes(), Ordering::SeqCst);
    }
}

#[test]
fn no_wake_up_is_lost_and_no_byte_is_granted_twice() {
    const LIMIT: u64 = 100;
    let (_fake, pool) = open(LIMIT);
    let ledger = Ledger(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for n in 0..4u64 {
            let (pool, ledger) = (&pool, &ledger);
            scope.spawn(move || {
                for round in 0..2_000u64 {
                    let bytes = 1 + (round * 7 + n * 31) % 70;
                    let future = Reserving::new(pool, bytes);
                    let reservation = match round % 3 {
                        0 => futures::executor::block_on(future).unwrap(),
                        1 => future.wait(Duration::MAX).unwrap(),
                        _ => match future.wait(Duration::ZERO) {
                            Ok(reservation) => reservation,
                            Err(_) => continue,
                        },
                    };
                    ledger.enter(&reservation, LIMIT);
                    ledger.leave(reservation);
                }
            });
        }
    });
    assert_eq!((pool.waiting(), pool.unfilled_bytes()), (0, 0));
}

#[test]
fn the_forecast_grants_no_more_than_there_is() {
    const LIMIT: u64 = 4 * GIB;
    let (_fake, pool) = open(LIMIT);
    clock::advance(1);
    let ledger = Ledger(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for n in 0..4u64 {
            let (pool, ledger) = (&pool, &ledger);
            scope.spawn(move || {
                for round in 0..5_000u64 {
                    let bytes = GIB + (round + n) % 7 * (GIB / 4);
                    if let Ok(reservation) = pool.try_reserve(bytes) {
                        ledger.enter(&reservation, LIMIT);
                        ledger.leave(reservation);
                    }
                }
            });
        }
    });
    assert_eq!(pool.unfilled_bytes(), 0);
}

#[test]
fn scopes_fill_while_the_owner_changes_its_mind() {
    let (_fake, pool) = open(1 << 20);
    let mut reservation = pool.try_reserve(1000).unwrap();
    let tab = Arc::clone(reservation.tab());
    std::thread::scope(|scope| {
        for sign in [1, -1] {
            let tab = &tab;
            scope.spawn(move || (0..20_000).for_each(|n| tab.fill(sign * (n % 700))));
        }
        for n in 0..2_000 {
            reservation.grow(ByteSize::bytes(n % 50)).unwrap();
            drop(reservation.split(ByteSize::bytes(n % 30)));
            reservation.shrink(ByteSize::bytes(n % 40));
            assert!(reservation.unfilled_bytes() <= reservation.reserved_bytes());
        }
    });
    assert_eq!(pool.reserved_bytes(), reservation.reserved_bytes());
    assert_eq!(pool.unfilled_bytes(), reservation.unfilled_bytes());
    drop(reservation);
    assert_eq!(pool.unfilled_bytes(), 0);
}
