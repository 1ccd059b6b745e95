//! Futures and threads that wait.

use std::sync::Mutex;
use std::time::Duration;

use ::futures::executor::block_on;
use proptest::prelude::*;

use super::*;

#[test]
fn the_first_change_after_the_call_and_none_before_it() {
    let watch = watch();
    set(&watch, Elevated);
    let woken = Arc::default();
    let mut changed = PressureChanged::new(&watch);
    // Between the call and the first poll.
    watch.set(change(Elevated, High, PressureCause::Stalled));
    let stalled = change(Elevated, High, PressureCause::Stalled);
    assert_eq!(poll(&mut changed, &woken), Poll::Ready(Ok(stalled)));
    assert!(poll(&mut changed, &woken).is_pending());
    assert_eq!((woken.times(), watch.waiting()), (0, 1));
    watch.set(change(High, Critical, PressureCause::Forecast));
    assert_eq!((woken.times(), watch.waiting()), (1, 0));
    set(&watch, High);
    assert_eq!(woken.times(), 1, "once for each time it asks");
    // It was told High, and is at High.
    assert!(poll(&mut changed, &woken).is_pending());
    set(&watch, Elevated);
    set(&watch, Normal);
    let down = change(High, Normal, PressureCause::Used);
    assert_eq!(poll(&mut changed, &woken), Poll::Ready(Ok(down)));
}

#[test]
fn a_change_to_the_same_level_is_none() {
    let watch = watch();
    let woken = Arc::default();
    let mut changed = PressureChanged::new(&watch);
    assert!(poll(&mut changed, &woken).is_pending());
    set(&watch, Normal);
    assert_eq!((woken.times(), watch.waiting()), (0, 1));
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    let watch = watch();
    let woken: Arc<Woken> = Arc::default();
    for _ in 0..1000 {
        let mut changed = PressureChanged::new(&watch);
        let mut waiting = WaitingForCapacity::new(&watch);
        assert!(poll(&mut changed, &woken).is_pending());
        set(&watch, High);
        assert!(poll(&mut waiting, &woken).is_pending());
        assert!(poll(&mut changed, &woken).is_ready());
        assert!(poll(&mut changed, &woken).is_pending());
        assert_eq!((watch.waiting(), Arc::strong_count(&woken)), (2, 3));
        drop(changed);
        assert_eq!((watch.waiting(), Arc::strong_count(&woken)), (1, 2));
        drop(waiting);
        set(&watch, Normal);
    }
    assert_eq!((watch.waiting(), Arc::strong_count(&woken)), (0, 1));
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let watch = watch();
    let (first, second): (Arc<Woken>, Arc<Woken>) = Default::default();
    let mut changed = PressureChanged::new(&watch);
    assert!(poll(&mut changed, &first).is_pending());
    assert!(poll(&mut changed, &second).is_pending());
    assert!(poll(&mut changed, &second).is_pending());
    assert_eq!((Arc::strong_count(&first), watch.waiting()), (1, 1));
    set(&watch, High);
    assert_eq!((first.times(), second.times()), (0, 1));
}

#[test]
fn a_waker_may_panic_and_may_come_back_to_the_watch() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the runtime is gone");
        }
    }
    struct Waits(Arc<Watch>, Mutex<Option<WaitingForCapacity>>);
    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            let mut waiting = WaitingForCapacity::new(&self.0);
            assert!(now(&mut waiting).is_none());
            *self.1.lock().unwrap() = Some(waiting);
        }
    }
    let watch = watch();
    let waits = Arc::new(Waits(Arc::clone(&watch), Mutex::new(None)));
    let woken = Arc::default();
    let wakers = [Waker::from(Arc::new(Panics)), Waker::from(waits.clone())];
    let mut futures = wakers.map(|waker| {
        let mut changed = PressureChanged::new(&watch);
        let polled = Pin::new(&mut changed).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        changed
    });
    let mut last = PressureChanged::new(&watch);
    assert!(poll(&mut last, &woken).is_pending());
    set(&watch, High);
    assert_eq!(woken.times(), 1);
    assert!(waits.1.lock().unwrap().is_some());
    assert!(futures.iter_mut().all(|changed| now(changed).is_some()));
}

#[test]
fn capacity_is_below_high_at_once_or_later() {
    let watch = watch();
    let mut early = WaitingForCapacity::new(&watch);
    assert_eq!(now(&mut early), Some(Ok(())));
    set(&watch, Elevated);
    assert_eq!(WaitingForCapacity::new(&watch).wait(Duration::ZERO), Ok(()));
    set(&watch, High);
    let woken = Arc::default();
    let mut waiting = WaitingForCapacity::new(&watch);
    assert!(poll(&mut waiting, &woken).is_pending());
    set(&watch, Critical);
    assert!(poll(&mut waiting, &woken).is_pending());
    set(&watch, Elevated);
    assert_eq!(woken.times(), 2);
    // Whoever was first has filled memory up again.
    set(&watch, High);
    assert!(poll(&mut waiting, &woken).is_pending());
    set(&watch, Normal);
    assert_eq!(poll(&mut waiting, &woken), Poll::Ready(Ok(())));
}

#[test]
fn a_time_that_is_up_names_the_level_and_leaves() {
    let watch = watch();
    set(&watch, Critical);
    let error = WaitingForCapacity::new(&watch)
        .wait(Duration::from_millis(20))
        .unwrap_err();
    let NoCapacity::TimedOut { level, waited_ms } = error else {
        panic!("{error}");
    };
    assert!(level == Critical && waited_ms >= 20, "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "memory pressure is critical, and was high or above for the {waited_ms} ms that were waited; \
             turn the work away, or wait longer"
        )
    );
    assert_eq!(watch.waiting(), 0);
}

#[test]
fn a_manager_that_goes_away_tells_all() {
    let watch = watch();
    set(&watch, High);
    let woken = Arc::default();
    let mut changed = PressureChanged::new(&watch);
    let mut waiting = WaitingForCapacity::new(&watch);
    assert!(poll(&mut changed, &woken).is_pending());
    assert!(poll(&mut waiting, &woken).is_pending());
    let thread = std::thread::spawn({
        let waiting = WaitingForCapacity::new(&watch);
        move || waiting.wait(Duration::MAX)
    });
    while watch.waiting() < 3 {
        std::thread::yield_now();
    }
    watch.close();
    assert_eq!(thread.join().unwrap(), Err(NoCapacity::ManagerGone));
    assert_eq!(woken.times(), 2);
    for _ in 0..2 {
        assert_eq!(poll(&mut changed, &woken), Poll::Ready(Err(ManagerGone)));
    }
    assert_eq!(poll(&mut waiting, &woken), Poll::Ready(Err(ManagerGone)));
    set(&watch, Normal);
    assert_eq!(
        now(&mut PressureChanged::new(&watch)),
        Some(Err(ManagerGone))
    );
}

#[test]
fn no_wake_up_is_lost() {
    let watch = watch();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let mut changes = PressureChanged::new(&watch);
                let watch = &watch;
                scope.spawn(move || {
                    let mut told = Normal;
                    loop {
                        match block_on(&mut changes) {
                            Ok(change) => {
                                assert_eq!(change.from, told);
                                assert_ne!(change.to, told);
                                told = change.to;
                            }
                            Err(ManagerGone) => return,
                        }
                        if n == 0 {
                            let capacity = WaitingForCapacity::new(watch);
                            let _ = capacity.wait(Duration::MAX);
                        }
                        // The last level, and who does not hear of it never ends.
                        if told == Critical {
                            return;
                        }
                    }
                })
            })
            .collect();
        for n in 0..20_000 {
            set(&watch, [High, Normal, Elevated][n % 3]);
        }
        set(&watch, Normal);
        set(&watch, Elevated);
        // Who waits for capacity goes on first.
        while watch.waiting() < threads.len() {
            std::thread::yield_now();
        }
        set(&watch, Critical);
        for thread in threads.into_iter().skip(1) {
            thread.join().unwrap();
        }
        watch.close();
    });
    assert_eq!(watch.waiting(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Set(usize),
    Listen,
    Poll(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..4).prop_map(Step::Set),
        1 => Just(Step::Listen),
        3 => (0usize..6).prop_map(Step::Poll),
        1 => (0usize..6).prop_map(Step::Drop),
    ]
}

proptest! {
    /// Beside a model that remembers every change, in full.
    #[test]
    fn who_polls_is_told_the_sum_of_what_it_missed(steps in prop::collection::vec(step(), 1..80)) {
        let watch = watch();
        let mut level = Normal;
        let mut told = Vec::new();
        for step in steps {
            match step {
                Step::Set(n) => {
                    let to = PressureLevel::ALL[n];
                    set(&watch, to);
                    if to != level {
                        for (_, woken, waits, wakes) in &mut told {
                            let woken: &Arc<Woken> = woken;
                            *wakes += u64::from(std::mem::take(waits));
                            prop_assert_eq!(woken.times(), *wakes);
                        }
                    }
                    level = to;
                }
                Step::Listen => {
                    let changed = PressureChanged::new(&watch);
                    told.push(((changed, level), Arc::default(), false, 0));
                }
                Step::Poll(n) if n < told.len() => {
                    let ((changed, last), woken, waits, _) = &mut told[n];
                    let expected = if level == *last {
                        *waits = true;
                        Poll::Pending
                    } else {
                        Poll::Ready(Ok(change(*last, level, PressureCause::Used)))
                    };
                    if expected.is_ready() {
                        *waits = false;
                    }
                    prop_assert_eq!(poll(changed, woken), expected);
                    *last = level;
                }
                Step::Drop(n) if n < told.len() => drop(told.remove(n)),
                Step::Poll(_) | Step::Drop(_) => {}
            }
            let waiting = told.iter().filter(|(_, _, waits, _)| *waits).count();
            prop_assert_eq!((watch.level(), watch.waiting()), (level, waiting));
        }
    }
}
