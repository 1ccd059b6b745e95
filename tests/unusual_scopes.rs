//! Scopes in unusual orders and places: each of these was wrong once.

#![cfg(feature = "jemalloc")]

mod support;

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use plimsoll::{
    MemoryLimit, OnExceed, ScopeHandle, ScopeStats, Site, WithMemoryLimit, get_memory_manager,
};
use support::{assert_success, child, is_child};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|_| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

fn stats(name: &str) -> Option<ScopeStats> {
    let scopes = get_memory_manager().scopes();
    scopes.into_iter().find(|scope| scope.name == name)
}

fn current_bytes(name: &str) -> u64 {
    stats(name).map_or(0, |scope| scope.current_bytes.unwrap())
}

/// The callback's count is then below 0, wraps, and in a debug build overflows: `extern "C"`, so the process aborts.
#[test]
fn a_block_from_another_thread_that_shrinks_here_aborts_nothing() {
    if !is_child() {
        let mut child = child("a_block_from_another_thread_that_shrinks_here_aborts_nothing");
        return assert_success(&child.output().unwrap());
    }
    drop(MemoryLimit::mib(1).enter());
    let mut block: Vec<u8> = Vec::with_capacity(1 << 20);
    block.resize(600 << 10, 1);
    std::thread::spawn(move || block.shrink_to_fit())
        .join()
        .unwrap();
}

/// `PinnedDrop` and `stop` end the scope after the future's destructor: not when that panics.
#[test]
fn a_future_whose_destructor_panics_is_counted_and_holds_nothing() {
    struct Bomb(#[expect(dead_code)] Vec<u8>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let mut future = Box::pin(
        async {
            let _bomb = Bomb(vec![1u8; 2 << 20]);
            yield_once().await;
        }
        .with_memory_limit(MemoryLimit::mib(100).named("bomb")),
    );
    assert!(poll(future.as_mut()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(future))).is_err());
    let found = stats("bomb").unwrap();
    assert_eq!((found.calls_total, found.current_bytes), (1, Some(0)));
}

/// The same when it is ready: its drop is part of its last poll.
#[test]
fn a_ready_future_whose_destructor_panics_is_counted_once_and_holds_nothing() {
    struct Bomb(Vec<u8>);
    impl Future for Bomb {
        type Output = usize;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<usize> {
            Poll::Ready(self.0.len())
        }
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let limit = MemoryLimit::mib(100).named("ready bomb");
    let mut future = Box::pin(Bomb(vec![1u8; 2 << 20]).with_memory_limit(limit));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_ready())).is_err());
    drop(future);
    let found = stats("ready bomb").unwrap();
    assert_eq!((found.calls_total, found.current_bytes), (1, Some(0)));
}

/// Dropped before its first poll, it is no call; but what it told its site while it was dropped stays told.
#[test]
fn a_future_that_was_never_polled_leaves_nothing_behind() {
    static KEPT: std::sync::Mutex<Vec<Vec<u8>>> = std::sync::Mutex::new(Vec::new());
    struct Keeps;
    impl Drop for Keeps {
        fn drop(&mut self) {
            KEPT.lock().unwrap().push(vec![1u8; 2 << 20]);
        }
    }
    let keeps = Keeps;
    let future = async move {
        let _keeps = keeps;
    }
    .with_memory_limit(MemoryLimit::mib(100).named("never polled"));
    drop(future);
    assert_eq!(current_bytes("never polled"), 0);
}

fn at_depth<R>(depth: usize, work: &mut dyn FnMut() -> R) -> R {
    static SITES: [Site; 32] = [const { Site::new("deep") }; 32];
    if depth == 0 {
        return work();
    }
    let _scope = MemoryLimit::mib(10_000).at(&SITES[depth - 1]).enter();
    at_depth(depth - 1, work)
}

/// A handle of a scope without a frame has an account that nobody ends.
#[test]
fn a_handle_of_a_scope_that_is_too_deep_leaves_nothing_behind() {
    let kept = at_depth(32, &mut || {
        let scope = MemoryLimit::mib(100).named("too deep").enter();
        let handle = scope.handle();
        let kept = std::thread::spawn(move || handle.attach(|| vec![1u8; 2 << 20]))
            .join()
            .unwrap();
        drop(scope);
        kept
    });
    assert_eq!(current_bytes("too deep"), 0);
    drop(kept);
}

/// Attached work joins frames like any other; the one who leaves last then ends the account of a scope that goes on elsewhere.
#[test]
fn a_guard_that_outlives_attached_work_of_its_site_does_not_end_the_scope() {
    static SITE: Site = Site::new("joined attached");
    let limit = MemoryLimit::mib(100).at(&SITE);
    let scope = limit.enter();
    let handle = scope.handle();
    std::thread::spawn(move || {
        let guard = handle.attach(|| limit.enter());
        drop(guard);
    })
    .join()
    .unwrap();
    let kept = vec![1u8; 2 << 20];
    assert!(scope.check().is_ok());
    assert!(current_bytes("joined attached") >= 2 * MIB);
    drop((kept, scope));
}

/// The attached thread then works for the scope for ever.
#[test]
fn a_guard_leaked_in_attached_work_of_its_site_does_not_stay_attached() {
    static SITE: Site = Site::new("leaked in attached");
    let limit = MemoryLimit::mib(100).at(&SITE);
    let scope = limit.enter();
    let handle = scope.handle();
    let kept = std::thread::spawn(move || {
        handle.attach(|| std::mem::forget(limit.enter()));
        assert!(ScopeHandle::current().is_none(), "still attached");
        vec![1u8; 2 << 20]
    })
    .join();
    assert!(kept.is_ok());
}

/// A guard of the future's own site that lives across a poll keeps the future's frame, and with it the account.
#[test]
fn a_guard_of_the_futures_site_across_an_await_does_not_lose_the_future() {
    static SITE: Site = Site::new("guard across await");
    let limit = MemoryLimit::mib(100).at(&SITE).on_exceed(OnExceed::Error);
    let mut future = pin!(
        async {
            let kept = vec![1u8; 2 << 20];
            let guard = limit.enter();
            yield_once().await;
            drop(guard);
            yield_once().await;
            drop(kept);
        }
        .with_memory_limit(limit)
    );
    while poll(future.as_mut()).is_pending() {}
    assert_eq!(current_bytes("guard across await"), 0);
    // Below 0 it shows as 0; the next scope then shows too little.
    let scope = limit.enter();
    let kept = vec![1u8; 2 << 20];
    assert!(scope.check().is_ok());
    assert!(
        current_bytes("guard across await") >= 2 * MIB,
        "{} is told",
        current_bytes("guard across await")
    );
    drop((kept, scope));
}

/// The same when others work for it: what they hold still stops it.
#[test]
fn a_shared_future_keeps_its_account_when_a_guard_of_its_site_lives_across_an_await() {
    static SITE: Site = Site::new("shared guard across await");
    let limit = MemoryLimit::mib(1).at(&SITE).on_exceed(OnExceed::Error);
    let slot = std::sync::Mutex::new(None);
    let mut future = pin!(
        async {
            *slot.lock().unwrap() = ScopeHandle::current();
            let _guard = limit.enter();
            loop {
                yield_once().await;
            }
        }
        .with_memory_limit(limit)
    );
    assert!(poll(future.as_mut()).is_pending());
    let handle = slot.lock().unwrap().clone().unwrap();
    let kept = std::thread::spawn(move || handle.attach(|| vec![1u8; 2 << 20]))
        .join()
        .unwrap();
    let stopped: Poll<Result<(), _>> = poll(future.as_mut());
    assert!(matches!(stopped, Poll::Ready(Err(_))), "{stopped:?}");
    drop(kept);
}

/// The future's frame is taken by another scope while it is polled; what its site was told is then taken back twice.
#[test]
fn a_future_that_outlives_the_scope_around_it_is_told_of_once() {
    static SITE: Site = Site::new("outlives around");
    let limit = MemoryLimit::mib(100).at(&SITE);
    std::thread::spawn(move || {
        let around = MemoryLimit::mib(100).named("ends inside").enter();
        let mut around = Some(around);
        let mut future = pin!(
            async {
                let kept = vec![1u8; 2 << 20];
                yield_once().await;
                drop(around.take());
                let one = MemoryLimit::mib(100).named("one").enter();
                let two = MemoryLimit::mib(100).named("two").enter();
                drop((two, one));
                yield_once().await;
                drop(kept);
            }
            .with_memory_limit(limit)
        );
        while poll(future.as_mut()).is_pending() {}
    })
    .join()
    .unwrap();
    let scope = limit.enter();
    let kept = vec![1u8; 2 << 20];
    assert!(scope.check().is_ok());
    assert!(
        current_bytes("outlives around") >= 2 * MIB,
        "{} is told",
        current_bytes("outlives around")
    );
    drop((kept, scope));
}

#[test]
fn a_future_that_others_pushed_past_its_limit_is_not_polled_again() {
    let slot = std::sync::Mutex::new(None);
    let polls = std::sync::atomic::AtomicU64::new(0);
    let mut future = pin!(
        async {
            *slot.lock().unwrap() = ScopeHandle::current();
            loop {
                polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                yield_once().await;
            }
        }
        .with_memory_limit(MemoryLimit::mib(1).named("pushed by others"))
    );
    assert!(poll(future.as_mut()).is_pending());
    let handle = slot.lock().unwrap().clone().unwrap();
    let kept = std::thread::spawn(move || handle.attach(|| vec![1u8; 2 << 20]))
        .join()
        .unwrap();
    let stopped: Poll<Result<(), _>> = poll(future.as_mut());
    assert!(matches!(stopped, Poll::Ready(Err(_))), "{stopped:?}");
    assert_eq!(polls.load(std::sync::atomic::Ordering::Relaxed), 1);
    drop(kept);
}

/// Grows by 2 MiB in its second poll and keeps them.
async fn grow_in_the_second_poll(handle: Option<&std::sync::Mutex<Option<ScopeHandle>>>) {
    if let Some(handle) = handle {
        *handle.lock().unwrap() = ScopeHandle::current();
    }
    yield_once().await;
    let kept = black_box(vec![1u8; 2 << 20]);
    yield_once().await;
    yield_once().await;
    drop(kept);
}

#[test]
fn a_poll_too_deep_for_a_frame_is_judged_at_its_end() {
    static SITE: Site = Site::new("deep poll");
    let limit = MemoryLimit::mib(1).at(&SITE);
    let mut future = pin!(grow_in_the_second_poll(None).with_memory_limit(limit));
    assert!(poll(future.as_mut()).is_pending());
    let polled = at_depth(32, &mut || poll(future.as_mut()));
    let Poll::Ready(Err(exceeded)) = polled else {
        panic!("{polled:?}");
    };
    assert!(exceeded.peak_bytes >= 2 * MIB, "{exceeded:?}");
    assert_eq!(SITE.exceeded_total(), 1);
}

#[test]
fn a_poll_too_deep_for_a_frame_counts_in_its_account_once() {
    for (mib, fits) in [(1, false), (3, true)] {
        let slot = std::sync::Mutex::new(None);
        let limit = MemoryLimit::mib(mib).named("deep shared poll");
        let mut future = pin!(grow_in_the_second_poll(Some(&slot)).with_memory_limit(limit));
        assert!(poll(future.as_mut()).is_pending());
        let deep = at_depth(32, &mut || poll(future.as_mut()));
        assert_eq!(deep.is_pending(), fits, "{mib} MiB: {deep:?}");
        if fits {
            assert!(poll(future.as_mut()).is_pending());
            let done = poll(future.as_mut());
            assert!(matches!(done, Poll::Ready(Ok(()))), "{done:?}");
        }
    }
}

/// Scopes that are shared in unusual places.
mod shared {
    use super::*;

    /// The same for a guard that was leaked after it made a handle.
    #[test]
    fn a_leaked_guard_with_a_handle_leaves_nothing_behind() {
        let kept = std::thread::spawn(|| {
            let lowest = MemoryLimit::mib(100).named("takes leaked along").enter();
            let leaked = MemoryLimit::mib(100).named("leaked with handle").enter();
            drop(leaked.handle());
            std::mem::forget(leaked);
            let kept = vec![1u8; 2 << 20];
            drop(lowest);
            kept
        })
        .join()
        .unwrap();
        assert_eq!(current_bytes("leaked with handle"), 0);
        drop(kept);
    }

    /// The docs of `ScopeHandle`: what is held counts in the scope, and in every scope around it.
    #[test]
    fn attached_work_counts_around_an_attachment_as_well() {
        let elsewhere = MemoryLimit::mib(1000).named("elsewhere").enter();
        let other = elsewhere.handle();
        std::thread::spawn(move || {
            let around = MemoryLimit::mib(1000).named("around attachment").enter();
            let kept = other.attach(|| {
                let inside = MemoryLimit::mib(1000).named("inside attachment").enter();
                let handle = inside.handle();
                std::thread::spawn(move || handle.attach(|| vec![1u8; 4 << 20]))
                    .join()
                    .unwrap()
            });
            let report = around.finish();
            assert!(report.peak_bytes >= 4 * MIB, "{report:?}");
            drop(kept);
        })
        .join()
        .unwrap();
        assert!(elsewhere.finish().peak_bytes >= 4 * MIB);
    }

    /// Polled by a thread that is attached to it already, a future posts everything a second time.
    #[test]
    fn a_shared_future_polled_in_its_own_attachment_counts_once() {
        let slot = std::sync::Mutex::new(None);
        let mut future = pin!(
            async {
                *slot.lock().unwrap() = ScopeHandle::current();
                yield_once().await;
                let kept = black_box(vec![1u8; 4 << 20]);
                yield_once().await;
                drop(kept);
            }
            .with_memory_limit(MemoryLimit::mib(6).named("attached to itself"))
        );
        assert!(poll(future.as_mut()).is_pending());
        let handle = slot.lock().unwrap().clone().unwrap();
        let polled = handle.attach(|| poll(future.as_mut()));
        assert!(polled.is_pending(), "4 MiB are within 6: {polled:?}");
    }

    /// A guard that outlived the lowest scope still has its frame: attaching beside it counts twice.
    #[test]
    fn attaching_beside_an_orphan_counts_once() {
        std::thread::spawn(|| {
            let lowest = MemoryLimit::mib(100).named("lowest").enter();
            let middle = MemoryLimit::mib(100).named("middle").enter();
            let orphan = MemoryLimit::mib(100).named("orphan").enter();
            drop(middle);
            let handle = orphan.handle();
            drop(lowest);
            let kept = handle.attach(|| vec![1u8; 4 << 20]);
            let report = orphan.finish();
            assert!(
                (4 * MIB..5 * MIB).contains(&report.peak_bytes),
                "{report:?}"
            );
            drop(kept);
        })
        .join()
        .unwrap();
    }

    /// A guard that has no frame is judged by its own counts, a future posts at the end of its poll; an attachment does nothing.
    #[test]
    fn attached_work_counts_however_deep_its_thread_is() {
        let scope = MemoryLimit::mib(100).named("deep thread").enter();
        let handle = scope.handle();
        let kept =
            std::thread::spawn(move || at_depth(32, &mut || handle.attach(|| vec![1u8; 4 << 20])))
                .join()
                .unwrap();
        let report = scope.finish();
        assert!(report.attached_net_bytes >= 4 * MIB as i64, "{report:?}");
        drop(kept);
    }

    /// Each spawns its successor and ends: all their accounts are attached, until there is no room for the one that counts.
    #[test]
    fn a_chain_of_futures_that_have_ended_does_not_use_up_the_depth() {
        let stopped_after = |hops: usize| {
            let first = MemoryLimit::mib(1000).named("first hop").enter();
            let mut handle = first.handle();
            drop(first);
            for hop in 0..hops {
                let mib = if hop + 1 == hops { 1 } else { 1000 };
                let future = async { ScopeHandle::current().unwrap() };
                let limited = future.with_memory_limit(MemoryLimit::mib(mib).named("hop"));
                let next = futures::executor::block_on(handle.attach_future(limited));
                handle = next.unwrap();
            }
            handle.attach(|| {
                let kept = black_box(vec![1u8; 2 << 20]);
                let stopped = plimsoll::checkpoint().is_err();
                drop(kept);
                stopped
            })
        };
        assert!(stopped_after(3), "a few");
        assert!(stopped_after(40), "many");
    }
}
