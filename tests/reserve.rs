//! Reservations on a real manager: what is promised is kept, what is given back is found, in the process and across a fork.

#![cfg(feature = "jemalloc")]

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::executor::block_on;
use plimsoll::{
    ByteSize, CleanupFn, MemoryLimit, MemoryManager, Reservation, ReserveError, Reserving,
};
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;
/// Far above what this process uses, so that three quarters of it fit once and not twice.
const LIMIT: ByteSize = ByteSize::gib(2);
const MOST: ByteSize = ByteSize::mib(1536);

/// What one test holds is no room for another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn manager() -> MemoryManager {
    MemoryManager::builder().limit(LIMIT).build().unwrap()
}

/// As a runtime would poll it once.
fn poll(future: &mut Reserving) -> Poll<Result<Reservation, ReserveError>> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_is_reserved_is_refused_to_others_until_it_is_given_back() {
    let _alone = alone();
    let manager = manager();
    let reservation = manager.try_reserve(MOST).unwrap();
    let stats = manager.stats();
    assert_eq!(stats.reserved_bytes, MOST.as_u64());
    assert_eq!(stats.reserved_unfilled_bytes, MOST.as_u64());
    match manager.try_reserve(MOST).unwrap_err() {
        ReserveError::NoRoom {
            requested_bytes,
            headroom_bytes,
            outstanding_bytes,
            waiting_bytes,
        } => {
            assert_eq!(
                (requested_bytes, outstanding_bytes),
                (MOST.as_u64(), MOST.as_u64())
            );
            assert!(headroom_bytes < LIMIT.as_u64() && waiting_bytes == 0);
        }
        other => panic!("{other}"),
    }
    let above = manager.try_reserve(ByteSize::gib(3)).unwrap_err();
    assert!(
        matches!(above, ReserveError::AboveLimit { limit_bytes, .. } if limit_bytes == LIMIT.as_u64())
    );
    drop(reservation);
    drop(manager.try_reserve(MOST).unwrap());
    assert_eq!(manager.stats().reserved_unfilled_bytes, 0);
}

#[test]
fn memory_in_use_is_no_room() {
    let _alone = alone();
    let manager = manager();
    let held = vec![1u8; 300 * MIB as usize];
    let most = LIMIT.as_u64() - 200 * MIB;
    // A reading that was taken while it was allocated and not touched yet does not see it; the next one does.
    wait_until("a reading that sees it", || {
        manager.try_reserve(ByteSize::bytes(most)).is_err()
    });
    drop(held);
    manager.force_cleanup();
    wait_until("the kernel has it back", || {
        manager.try_reserve(ByteSize::bytes(most)).is_ok()
    });
}

#[test]
fn a_scope_that_frees_what_others_allocated_never_counts_more_than_it_reserved() {
    let _alone = alone();
    let manager = manager();
    let reservation = manager.try_reserve(ByteSize::mib(64)).unwrap();
    let unfilled = || {
        let bytes = reservation.unfilled_bytes();
        assert_eq!(manager.stats().reserved_unfilled_bytes, bytes);
        bytes
    };
    let messages: Vec<_> = (0..100).map(|_| vec![1u8; MIB as usize]).collect();
    let scope = MemoryLimit::mib(64).named("consumer").enter();
    assert!(reservation.spend_in(&scope.handle()));
    for message in messages {
        drop(message);
        scope.check().unwrap();
        assert!(unfilled() <= 64 * MIB);
    }
    assert_eq!(unfilled(), 64 * MIB, "it holds nothing, and not less");
    let own = vec![1u8; 16 * MIB as usize];
    scope.check().unwrap();
    // The list of the messages was freed since the last look.
    assert!(unfilled() < 49 * MIB, "what it frees leaves no credit");
    drop(own);
    drop(scope);
    assert_eq!(unfilled(), 64 * MIB);
}

#[test]
fn a_thread_and_a_future_wait_for_their_turn() {
    let _alone = alone();
    let manager = manager();
    let reservation = manager.try_reserve(MOST).unwrap();
    let timed_out = manager.reserve_timeout(MOST, Duration::from_millis(1));
    assert!(matches!(timed_out, Err(ReserveError::TimedOut { .. })));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| manager.reserve_timeout(MOST, Duration::MAX).unwrap());
        wait_until("the first waits", || {
            manager.stats().reservations_waiting == 1
        });
        let future = scope.spawn(|| block_on(manager.reserve(MOST)).unwrap());
        wait_until("both wait", || manager.stats().reservations_waiting == 2);
        drop(reservation);
        let first = thread.join().unwrap();
        assert_eq!(manager.stats().reservations_waiting, 1);
        drop(first);
        assert_eq!(future.join().unwrap().reserved_bytes(), MOST.as_u64());
    });
}

#[test]
fn a_cleanup_makes_room_for_whoever_waits() {
    let _alone = alone();
    let used = manager().force_cleanup().after.rss_bytes;
    let manager = MemoryManager::builder()
        .limit(ByteSize::bytes(used + 512 * MIB))
        .max_memory_percent(50.0)
        .build()
        .unwrap();
    let cache = Arc::new(Mutex::new(vec![1u8; 400 * MIB as usize]));
    let _hook = manager.register_cleanup(CleanupFn::new("cache", {
        let cache = Arc::clone(&cache);
        move |_| *cache.lock().unwrap() = Vec::new()
    }));
    let size = ByteSize::mib(200);
    // Which of the two depends on whether the worker has looked already.
    assert!(matches!(
        manager.try_reserve(size),
        Err(ReserveError::NoRoom { .. } | ReserveError::UnderPressure { .. })
    ));
    drop(manager.reserve_timeout(size, Duration::MAX).unwrap());
    assert!(cache.lock().unwrap().is_empty());
}

#[test]
fn a_manager_that_is_dropped_ends_the_wait() {
    let _alone = alone();
    let manager = manager();
    let held = manager.try_reserve(MOST).unwrap();
    let mut future = manager.reserve(MOST);
    assert!(poll(&mut future).is_pending());
    let waits = std::thread::spawn(move || block_on(future));
    drop(manager);
    let error = waits.join().unwrap().unwrap_err();
    assert!(matches!(error, ReserveError::ManagerGone { .. }), "{error}");
    drop(held);
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_starts_with_an_empty_queue_and_the_parent_keeps_its() {
    use support::fork::fork;

    let _alone = alone();
    let manager = manager();
    let mut held = manager.try_reserve(MOST).unwrap();
    let mut waits = manager.reserve(MOST);
    assert!(poll(&mut waits).is_pending());
    let mut asked = manager.reserve(MOST);
    let status = fork(|| {
        let stats = manager.stats();
        if (stats.reserved_unfilled_bytes, stats.reservations_waiting) != (0, 0) {
            return 1;
        }
        let own = manager.try_reserve(MOST);
        if own.is_err() || manager.try_reserve(MOST).is_ok() {
            return 2;
        }
        let gone = |future| {
            matches!(
                poll(future),
                Poll::Ready(Err(ReserveError::ManagerGone { .. }))
            )
        };
        if !gone(&mut waits) || !gone(&mut asked) || held.grow(ByteSize::mib(1)).is_ok() {
            return 3;
        }
        held.shrink(ByteSize::mib(1));
        drop((held.split(ByteSize::mib(1)), held, waits));
        if manager.stats().reserved_unfilled_bytes != MOST.as_u64() {
            return 4;
        }
        // Its own worker serves its own queue.
        let mut future = manager.reserve(MOST);
        if poll(&mut future).is_ready() {
            return 5;
        }
        drop(own);
        i32::from(block_on(future).is_err()) * 6
    });
    assert_eq!(status, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_fork_at_any_moment_leaves_the_child_a_pool_that_works() {
    use support::fork::fork;

    let _alone = alone();
    let manager = manager();
    let mut held = Some(manager.try_reserve(MOST).unwrap());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Other threads keep the pool's lock busy: refused, waiting, leaving.
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = manager.try_reserve(MOST);
                    let _ = manager.reserve_timeout(MOST, Duration::ZERO);
                }
            });
        }
        for _ in 0..50 {
            let status = fork(|| {
                let mut part = manager.try_reserve(ByteSize::mib(64)).unwrap();
                part.grow(ByteSize::mib(64)).unwrap();
                let mut waits = manager.reserve(MOST);
                drop(poll(&mut waits));
                drop(part);
                // The parent's, of whose pool the lock may be held for good.
                drop(held.take());
                i32::from(block_on(manager.reserve(ByteSize::mib(1))).is_err())
            });
            assert_eq!(status, 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(held.is_some(), "what the child drops, it drops of its own");
}
