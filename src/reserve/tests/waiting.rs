//! Who waits gets its turn, can leave at any moment, and is told when there is nothing to wait for.

use std::time::Duration;

use super::*;

#[test]
fn first_come_first_served() {
    let (fake, pool) = open(100);
    let mut held = pool.try_reserve(100).unwrap();
    let (mut first, first_woken) = waits(&pool, 10);
    let (mut second, second_woken) = waits(&pool, 30);
    let (mut third, third_woken) = waits(&pool, 5);
    assert_eq!(
        (pool.waiting(), fake.rings.load(Ordering::SeqCst)),
        (3, 3),
        "each asks for a check"
    );
    held.shrink(ByteSize::bytes(20));
    let woken = || {
        [&first_woken, &second_woken, &third_woken]
            .map(|woken| woken.times())
            .to_vec()
    };
    assert_eq!(
        woken(),
        [1, 0, 0],
        "the third would fit, and comes after the second"
    );
    assert!(poll(&mut third, &third_woken).is_pending());
    held.shrink(ByteSize::bytes(25));
    assert_eq!(woken(), [1, 1, 1]);
    let granted = [&mut first, &mut second, &mut third].map(granted);
    assert_eq!(granted.map(|one| one.reserved_bytes()), [10, 30, 5]);
}

#[test]
fn many_small_requests_do_not_starve_a_big_one() {
    let (_fake, pool) = open(100);
    let mut small: Vec<_> = (0..10).map(|_| pool.try_reserve(10).unwrap()).collect();
    let (mut big, woken) = waits(&pool, 80);
    let mut behind = Vec::new();
    for n in 1..=8 {
        small.pop();
        // There is room for small ones, but it is spoken for.
        assert!(pool.try_reserve(10).is_err());
        assert_eq!(
            small
                .first_mut()
                .map(|one| one.grow(ByteSize::bytes(1)).is_ok()),
            Some(false)
        );
        if n < 8 {
            behind.push(waits(&pool, 10));
        }
        assert_eq!(woken.times(), u64::from(n == 8));
    }
    assert_eq!(granted(&mut big).reserved_bytes(), 80);
    assert!(
        behind.iter().all(|(_, woken)| woken.times() == 1),
        "the big one was dropped"
    );
}

#[test]
fn a_future_can_be_dropped_in_every_state() {
    let (_fake, pool) = open(100);
    let held = pool.try_reserve(60).unwrap();
    drop(Reserving::new(&pool, 50));
    assert_eq!(pool.waiting(), 0, "not polled yet");

    let (waiting, _) = waits(&pool, 50);
    let (mut next, next_woken) = waits(&pool, 40);
    drop(waiting);
    assert_eq!(next_woken.times(), 1, "who stood behind fits");
    assert_eq!((pool.waiting(), pool.unfilled_bytes()), (0, 100));

    let (mut after, after_woken) = waits(&pool, 40);
    drop(granted(&mut next));
    assert_eq!(after_woken.times(), 1);
    drop(next);
    assert_eq!(pool.unfilled_bytes(), 100, "a future that was ready");

    let (mut last, last_woken) = waits(&pool, 40);
    drop(granted(&mut after));
    assert_eq!(last_woken.times(), 1);
    let (waiting, woken) = waits(&pool, 40);
    drop(last);
    assert_eq!(woken.times(), 1, "granted and never polled again");
    drop((waiting, held));
    assert_eq!((pool.waiting(), pool.unfilled_bytes()), (0, 0));
    last = Reserving::new(&pool, 1);
    drop(granted(&mut last));
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let (_fake, pool) = open(100);
    let held = pool.try_reserve(100).unwrap();
    let (mut future, first) = waits(&pool, 10);
    let second = Arc::new(Woken::default());
    assert!(poll(&mut future, &second).is_pending());
    assert!(poll(&mut future, &second).is_pending());
    assert_eq!(Arc::strong_count(&first), 1, "given up");
    drop(held);
    assert_eq!((first.times(), second.times()), (0, 1));
    drop(granted(&mut future));
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn a_time_that_is_up_names_the_shortage_and_leaves_the_queue() {
    let (fake, pool) = open(100);
    let held = pool.try_reserve(70).unwrap();
    fake.used_bytes.store(10, Ordering::SeqCst);
    let (_first, woken) = waits(&pool, 25);
    let error = Reserving::new(&pool, 5).wait(Duration::ZERO).unwrap_err();
    let expected = ReserveError::TimedOut {
        requested_bytes: 5,
        headroom_bytes: 90,
        outstanding_bytes: 70,
        waiting_bytes: 25,
        under_pressure: false,
    };
    assert_eq!(error, expected);
    assert!(error.may_pass() && error.to_string().contains("turn the work away"));
    assert_eq!(pool.waiting(), 1);
    drop(held);
    assert_eq!(woken.times(), 1);
    let in_time = Reserving::new(&pool, 5).wait(Duration::ZERO).unwrap();
    assert_eq!(in_time.reserved_bytes(), 5);
}

#[test]
fn a_limit_that_sinks_below_a_request_ends_its_wait() {
    let (fake, pool) = open(100);
    let _held = pool.try_reserve(50).unwrap();
    let (mut big, woken) = waits(&pool, 80);
    let (mut small, small_woken) = waits(&pool, 20);
    fake.limit_bytes.store(75, Ordering::SeqCst);
    pool.look();
    assert_eq!((woken.times(), small_woken.times()), (1, 1));
    let expected = ReserveError::AboveLimit {
        requested_bytes: 80,
        limit_bytes: 75,
    };
    match poll(&mut big, &woken) {
        Poll::Ready(Err(error)) => assert_eq!(error, expected),
        other => panic!("{other:?}"),
    }
    drop(granted(&mut small));
}

#[test]
fn a_limit_that_becomes_unknown_for_a_while_ends_no_wait() {
    let (fake, pool) = open(100);
    let held = pool.try_reserve(100).unwrap();
    let (mut future, woken) = waits(&pool, 50);
    fake.unknown.store(true, Ordering::SeqCst);
    let refused = Reserving::new(&pool, 1).wait(Duration::MAX).unwrap_err();
    assert_eq!(refused, ReserveError::UnknownLimit { requested_bytes: 1 });
    drop(held);
    assert_eq!(woken.times(), 0, "unknown is no reason to grant");
    fake.unknown.store(false, Ordering::SeqCst);
    pool.look();
    drop(granted(&mut future));
}

#[test]
fn under_pressure_nothing_is_granted_and_who_waits_is_served_after_it() {
    let (fake, pool) = open(100);
    let press = |on| {
        fake.under_pressure.store(on, Ordering::SeqCst);
        pool.look();
    };
    let mut held = pool.try_reserve(10).unwrap();
    press(true);
    let refused = ReserveError::UnderPressure {
        requested_bytes: 1,
        headroom_bytes: 100,
    };
    assert_eq!(pool.try_reserve(1).unwrap_err(), refused);
    assert_eq!(held.grow(ByteSize::bytes(1)).unwrap_err(), refused);
    assert!(refused.may_pass());
    assert_eq!(
        refused.to_string(),
        "1 B can't be reserved while memory is above the High line: headroom is 100 B; wait, or turn the work away"
    );
    drop(pool.try_reserve(0).unwrap());
    let late = Reserving::new(&pool, 1).wait(Duration::from_millis(1));
    let late = late.unwrap_err();
    assert!(
        matches!(
            late,
            ReserveError::TimedOut {
                under_pressure: true,
                waiting_bytes: 0,
                ..
            }
        ) && late.to_string().contains("above the High line"),
        "{late}"
    );
    let (mut first, first_woken) = waits(&pool, 90);
    let (second, second_woken) = waits(&pool, 10);
    // Not even what is given back now.
    drop(held);
    pool.look();
    assert_eq!((pool.waiting(), pool.unfilled_bytes()), (2, 0));
    assert_eq!((first_woken.times(), second_woken.times()), (0, 0));
    press(false);
    assert_eq!((first_woken.times(), second_woken.times()), (1, 1));
    press(true);
    drop(granted(&mut first));
    drop(second);
    assert_eq!(
        pool.unfilled_bytes(),
        0,
        "what was granted before stays granted"
    );
}

#[test]
fn pressure_ends_the_forecast() {
    let (fake, pool) = open(16 * GIB);
    clock::advance(1);
    pool.look();
    drop(pool.try_reserve(GIB).unwrap());
    fake.under_pressure.store(true, Ordering::SeqCst);
    pool.look();
    assert!(matches!(
        pool.try_reserve(GIB),
        Err(ReserveError::UnderPressure { .. })
    ));
    // Nor does anybody's request bring it back.
    assert!(pool.try_reserve(1).is_err());
    fake.under_pressure.store(false, Ordering::SeqCst);
    drop(pool.try_reserve(GIB).unwrap());
}

#[test]
fn a_manager_that_goes_away_tells_all() {
    let (fake, pool) = open(100);
    let held = pool.try_reserve(100).unwrap();
    let mut waiting = [waits(&pool, 10), waits(&pool, 20)];
    let mut late = Reserving::new(&pool, 30);
    pool.close();
    drop(fake);
    let gone = |future: &mut Reserving| match poll(future, &Arc::default()) {
        Poll::Ready(Err(error)) => matches!(error, ReserveError::ManagerGone { .. }),
        _ => false,
    };
    assert!(
        waiting
            .iter_mut()
            .all(|(future, woken)| woken.times() == 1 && gone(future))
    );
    assert!(gone(&mut late));
    drop(held);
    assert_eq!(pool.unfilled_bytes(), 0);
}

#[test]
fn a_waker_may_panic_and_may_come_back_to_the_pool() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the runtime is gone");
        }
    }
    struct Reserves(Arc<Pool>, AtomicBool);
    impl Wake for Reserves {
        fn wake(self: Arc<Self>) {
            self.1
                .store(self.0.try_reserve(1).is_ok(), Ordering::SeqCst);
        }
    }
    let (_fake, pool) = open(100);
    let held = pool.try_reserve(100).unwrap();
    let reserves = Arc::new(Reserves(Arc::clone(&pool), AtomicBool::new(false)));
    let wakers = [
        Waker::from(Arc::new(Panics)),
        Waker::from(Arc::clone(&reserves)),
    ];
    let futures = wakers.map(|waker| {
        let mut future = Reserving::new(&pool, 10);
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        future
    });
    drop(held);
    assert!(reserves.1.load(Ordering::SeqCst));
    for mut future in futures {
        drop(granted(&mut future));
    }
    assert_eq!(pool.unfilled_bytes(), 0);
}

#[test]
#[should_panic(expected = "polled after it was granted")]
fn polling_a_future_that_was_ready_is_a_mistake() {
    let (_fake, pool) = open(100);
    let mut future = Reserving::new(&pool, 10);
    drop(granted(&mut future));
    let _ = poll(&mut future, &Arc::default());
}
