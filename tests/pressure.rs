//! Pressure that really rises and falls: who subscribed is told, who waits goes on, and nothing is promised meanwhile.

#![cfg(feature = "jemalloc")]

mod support;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::executor::block_on;
use plimsoll::{
    ByteSize, CleanupOutcome, ManagerGone, MemoryManager, NoCapacity, PressureChange,
    PressureLevel, ReserveError,
};
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;
/// Long enough for a busy machine; a test that waits for it in vain fails.
const PATIENCE: Duration = Duration::from_secs(60);
const SMALL: ByteSize = ByteSize::kib(1);

/// The level is that of the process: one test at a time moves it.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    falls();
    alone
}

/// Installed, with a limit that 256 MiB more reach.
fn manager() -> &'static MemoryManager {
    static MANAGER: OnceLock<&'static MemoryManager> = OnceLock::new();
    MANAGER.get_or_init(|| {
        let builder = MemoryManager::builder();
        let used_bytes = builder.build().unwrap().usage().used_bytes;
        let limit = ByteSize::bytes(used_bytes + 256 * MIB);
        MemoryManager::builder().limit(limit).install().unwrap()
    })
}

/// Fills memory up to 85 % of the limit; the level is High when this returns.
fn rises() -> Vec<u8> {
    let usage = manager().usage();
    let line_bytes = usage.limit.bytes.unwrap() * 85 / 100;
    let held = vec![1u8; (line_bytes - usage.used_bytes) as usize];
    wait_until("high", || manager().pressure() >= PressureLevel::High);
    held
}

fn falls() {
    wait_until("normal", || manager().pressure() == PressureLevel::Normal);
}

/// Up and down again, for nobody in particular: who is slow may miss both.
fn moves() {
    drop(rises());
    falls();
}

/// A subscriber that passes on what it is told.
fn passes_on() -> (impl Fn(&PressureChange) + Send + Sync, Told) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let call = move |change: &PressureChange| {
        let sender = sender.lock().unwrap().clone();
        let _ = sender.send(*change);
    };
    (call, Told(receiver, PressureLevel::Normal))
}

/// What a subscriber was told, and the level by that.
struct Told(Receiver<PressureChange>, PressureLevel);

impl Told {
    /// Each change starts where the last ended, and this goes on until `happened`.
    #[track_caller]
    fn until(&mut self, happened: impl Fn(PressureLevel) -> bool) {
        while !happened(self.1) {
            let change = self.0.recv_timeout(PATIENCE).unwrap();
            assert!(change.from == self.1 && change.to != self.1, "{change}");
            assert_eq!(change.is_rise(), change.to > self.1);
            self.1 = change.to;
        }
    }

    /// Up and down again, and neither is missed.
    #[track_caller]
    fn moves(&mut self) {
        let held = rises();
        self.high();
        drop(held);
        self.normal();
    }

    #[track_caller]
    fn high(&mut self) {
        self.until(|level| level >= PressureLevel::High);
    }

    #[track_caller]
    fn normal(&mut self) {
        self.until(|level| level == PressureLevel::Normal);
    }

    fn ends(self) {
        while self.0.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Disconnected) {}
    }
}

/// As a runtime would poll it once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn subscribers_hear_of_every_rise_and_fall_whatever_the_others_do() {
    let _alone = alone();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let stuck = Arc::new(AtomicBool::new(false));
    let hangs = manager().on_pressure({
        let stuck = Arc::clone(&stuck);
        move |_| {
            stuck.store(true, Ordering::SeqCst);
            let _ = wait.lock().unwrap().recv();
        }
    });
    let (call, mut told_by_panicking) = passes_on();
    let panics = manager().on_pressure(move |change| {
        call(change);
        panic!("the pager is down");
    });
    let (call, mut told) = passes_on();
    let quick = manager().on_pressure(call);
    for _ in 0..2 {
        let held = rises();
        told.high();
        told_by_panicking.high();
        drop(held);
        told.normal();
        told_by_panicking.normal();
    }
    wait_until("one hangs", || stuck.load(Ordering::SeqCst));
    drop((hangs, panics, quick));
    told.ends();
    told_by_panicking.ends();
    drop(go);
}

#[test]
fn a_change_says_by_which_figures() {
    let _alone = alone();
    let (call, told) = passes_on();
    let _subscription = manager().on_pressure(call);
    let _held = rises();
    let change = told.0.recv_timeout(PATIENCE).unwrap();
    let bound = change.bound.unwrap();
    assert_eq!(Some(bound.limit_bytes), manager().usage().limit.bytes);
    assert!(bound.used_bytes > 0 && change.is_rise(), "{change}");
}

#[test]
fn who_was_busy_is_told_the_sum_and_nothing_that_is_over() {
    let _alone = alone();
    let (call, mut told) = passes_on();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let _slow = manager().on_pressure(move |change| {
        call(change);
        let _ = wait.lock().unwrap().recv();
    });
    let held = rises();
    told.until(|level| level > PressureLevel::Normal);
    // It is inside now, and misses all this.
    drop(held);
    falls();
    moves();
    drop(go);
    told.normal();
    // It was told Normal once, and nothing after that.
    told.moves();
}

#[test]
fn a_subscriber_may_clean_up_and_end_its_own_subscription() {
    let _alone = alone();
    let own = Arc::new(Mutex::new(None));
    let (sender, outcomes) = channel();
    let sender = Mutex::new(sender);
    let subscription = manager().on_pressure({
        let own = Arc::clone(&own);
        move |_| {
            let report = manager().force_cleanup();
            sender.lock().unwrap().send(report.outcome).unwrap();
            drop(own.lock().unwrap().take());
        }
    });
    *own.lock().unwrap() = Some(subscription);
    let held = rises();
    let outcome = outcomes.recv_timeout(PATIENCE).unwrap();
    drop(held);
    assert_eq!(outcome, CleanupOutcome::Cleaned);
    // Its thread ends, and with it the callback.
    let over = outcomes.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(over, RecvTimeoutError::Disconnected);
}

#[test]
fn a_future_sees_the_next_change_without_a_runtime_and_in_one() {
    let _alone = alone();
    let first = manager().pressure_changed();
    let held = rises();
    assert!(block_on(first).unwrap().is_rise());
    let mut late = manager().pressure_changed();
    assert!(poll(&mut late).is_pending(), "it came after the change");
    drop(held);
    assert!(!block_on(late).unwrap().is_rise());
    falls();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let mut changes = manager().pressure_changed();
    let seen_high = Arc::new(AtomicBool::new(false));
    let sees_high = Arc::clone(&seen_high);
    let listening = runtime.spawn(async move {
        let (mut level, mut idle) = (PressureLevel::Normal, 0u64);
        loop {
            // What else it does comes between, and costs no change.
            tokio::select! {
                change = &mut changes => {
                    let change = change.unwrap();
                    assert_eq!(change.from, level);
                    level = change.to;
                }
                () = tokio::time::sleep(Duration::from_millis(1)) => idle += 1,
            }
            if level >= PressureLevel::High {
                sees_high.store(true, Ordering::SeqCst);
            } else if level == PressureLevel::Normal && sees_high.load(Ordering::SeqCst) {
                return idle;
            }
        }
    });
    let held = rises();
    wait_until("the task sees it", || seen_high.load(Ordering::SeqCst));
    drop(held);
    assert!(runtime.block_on(listening).unwrap() > 0);
}

#[test]
fn a_waker_that_panics_does_not_end_the_worker() {
    struct Panics(AtomicU64);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            panic!("the runtime is gone");
        }
    }
    let _alone = alone();
    let panics = Arc::new(Panics(AtomicU64::new(0)));
    let waker = Waker::from(Arc::clone(&panics));
    let mut changed = manager().pressure_changed();
    assert!(
        Pin::new(&mut changed)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    moves();
    assert_eq!(panics.0.load(Ordering::SeqCst), 1);
    moves();
}

#[test]
fn capacity_is_waited_for_by_threads_and_tasks() {
    let _alone = alone();
    let manager = manager();
    assert_eq!(poll(&mut manager.wait_for_capacity()), Poll::Ready(Ok(())));
    assert_eq!(manager.wait_for_capacity_timeout(Duration::ZERO), Ok(()));
    let held = rises();
    let error = manager
        .wait_for_capacity_timeout(Duration::from_millis(5))
        .unwrap_err();
    assert!(
        matches!(error, NoCapacity::TimedOut { level, waited_ms } if level >= PressureLevel::High && waited_ms >= 5),
        "{error}"
    );
    let mut given_up = manager.wait_for_capacity();
    assert!(poll(&mut given_up).is_pending());
    drop(given_up);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| manager.wait_for_capacity_timeout(Duration::MAX));
        let task = scope.spawn(|| runtime.block_on(manager.wait_for_capacity()));
        let without = scope.spawn(|| block_on(manager.wait_for_capacity()));
        drop(held);
        assert_eq!(thread.join().unwrap(), Ok(()));
        assert_eq!(task.join().unwrap(), Ok(()));
        assert_eq!(without.join().unwrap(), Ok(()));
    });
    assert!(manager.pressure() < PressureLevel::High);
}

#[test]
fn nothing_is_promised_at_high() {
    let _alone = alone();
    let manager = manager();
    let mut before = manager.try_reserve(SMALL).unwrap();
    let held = rises();
    let refused = |result: Result<_, ReserveError>| {
        let error = result.err().unwrap();
        assert!(error.may_pass());
        matches!(error, ReserveError::UnderPressure { requested_bytes: 1024, headroom_bytes } if headroom_bytes > 1024)
    };
    assert!(refused(manager.try_reserve(SMALL).map(drop)));
    assert!(refused(before.grow(SMALL)));
    drop(manager.try_reserve(ByteSize::bytes(0)).unwrap());
    let late = manager.reserve_timeout(SMALL, Duration::from_millis(5));
    assert!(
        matches!(
            late,
            Err(ReserveError::TimedOut {
                under_pressure: true,
                ..
            })
        ),
        "{late:?}"
    );
    let mut waits = manager.reserve(SMALL);
    assert!(poll(&mut waits).is_pending());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| manager.reserve_timeout(SMALL, Duration::MAX));
        let future = scope.spawn(|| block_on(waits));
        wait_until("both wait", || manager.stats().reservations_waiting == 2);
        drop(held);
        drop((
            thread.join().unwrap().unwrap(),
            future.join().unwrap().unwrap(),
        ));
    });
    falls();
    before.grow(SMALL).unwrap();
}

#[test]
fn a_manager_that_is_dropped_ends_what_waits() {
    let manager = MemoryManager::builder()
        .limit(ByteSize::mib(1))
        .build()
        .unwrap();
    wait_until("high", || manager.pressure() >= PressureLevel::High);
    let (call, told) = passes_on();
    let subscription = manager.on_pressure(call);
    let mut changed = manager.pressure_changed();
    let mut waiting = manager.wait_for_capacity();
    assert!(poll(&mut changed).is_pending() && poll(&mut waiting).is_pending());
    let changed = std::thread::spawn(move || block_on(changed));
    let waiting = std::thread::spawn(move || block_on(waiting));
    drop(manager);
    assert_eq!(changed.join().unwrap(), Err(ManagerGone));
    assert_eq!(waiting.join().unwrap(), Err(ManagerGone));
    drop(subscription);
    told.ends();
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_keeps_the_subscriptions_and_hears_of_its_own_pressure() {
    use support::fork::fork;

    let _alone = alone();
    let here = std::process::id();
    let in_child = Arc::new(AtomicU64::new(0));
    let (call, mut told) = passes_on();
    let mut subscription = Some(manager().on_pressure({
        let in_child = Arc::clone(&in_child);
        move |change| {
            if std::process::id() == here {
                call(change);
            } else if change.to == PressureLevel::Normal {
                in_child.fetch_add(1, Ordering::SeqCst);
            }
        }
    }));
    let gone = manager().on_pressure(|_| std::process::abort());
    drop(gone);
    let mut held = Some(rises());
    told.high();
    let mut changed = manager().pressure_changed();
    assert!(poll(&mut changed).is_pending());
    let mut waiting = manager().wait_for_capacity();
    assert!(poll(&mut waiting).is_pending());
    let parents = manager().wait_for_capacity();
    let status = fork(|| {
        drop(held.take());
        if poll(&mut changed) != Poll::Ready(Err(ManagerGone))
            || poll(&mut waiting) != Poll::Ready(Err(ManagerGone))
        {
            return 1;
        }
        drop((changed, waiting, parents));
        // Nothing of the manager was used here but that: this starts its threads.
        if manager().wait_for_capacity_timeout(PATIENCE).is_err() {
            return 2;
        }
        falls();
        wait_until("the child is told", || in_child.load(Ordering::SeqCst) == 1);
        drop(subscription.take());
        let (call, mut told) = passes_on();
        let _own = manager().on_pressure(call);
        told.moves();
        i32::from(in_child.load(Ordering::SeqCst) != 1) * 3
    });
    assert_eq!(status, 0);
    drop(held);
    told.normal();
    drop(subscription);
    told.ends();
}

#[cfg(target_os = "linux")]
#[test]
fn a_fork_at_any_moment_leaves_the_child_a_watch_that_works() {
    use support::fork::fork;

    let _alone = alone();
    let manager = MemoryManager::builder()
        .limit(ByteSize::mib(1))
        .build()
        .unwrap();
    wait_until("high", || manager.pressure() >= PressureLevel::High);
    let mut kept = Some((manager.on_pressure(|_| ()), manager.pressure_changed()));
    let polled = poll(&mut kept.as_mut().unwrap().1);
    assert!(polled.is_pending());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Other threads keep the locks busy: of the list, and of those who wait.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(manager.on_pressure(|_| ()));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut changed = manager.pressure_changed();
                    assert!(poll(&mut changed).is_pending());
                    let _ = manager.wait_for_capacity_timeout(Duration::ZERO);
                }
            });
        }
        for _ in 0..50 {
            let status = fork(|| {
                // Of the parent, whose locks may be held for good.
                drop(kept.take());
                let mut changed = manager.pressure_changed();
                let _own = manager.on_pressure(|_| ());
                let waits = poll(&mut changed).is_pending();
                let timed_out = manager.wait_for_capacity_timeout(Duration::from_millis(1));
                i32::from(!waits || timed_out.is_ok())
            });
            assert_eq!(status, 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
}
