//! Futures with a memory limit: under no runtime, under tokio, and in every way to end.

#![cfg(feature = "jemalloc")]

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use plimsoll::{
    LimitExceeded, MemoryLimit, OnExceed, ScopeHandle, Site, WithMemoryLimit, checkpoint,
};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

/// Lets others run once.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Grows by a MiB a poll.
async fn grow(mib: usize) -> usize {
    let mut kept = Vec::new();
    for _ in 0..mib {
        kept.push(vec![1u8; 1 << 20]);
        yield_once().await;
    }
    kept.len()
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Net bytes that this thread holds since `work` began, by a scope around it.
fn net_of(work: impl FnOnce()) -> i64 {
    let scope = MemoryLimit::mib(100_000).named("around").enter();
    work();
    scope.finish().net_bytes
}

#[test]
fn a_future_is_stopped_at_the_first_poll_boundary_past_its_limit() {
    static SITE: Site = Site::new("stopped");
    let polls = AtomicU64::new(0);
    let mut future = pin!(
        async {
            let mut kept = Vec::new();
            loop {
                polls.fetch_add(1, Ordering::Relaxed);
                kept.push(vec![1u8; 1 << 20]);
                yield_once().await;
            }
        }
        .with_memory_limit(MemoryLimit::kib(4608).at(&SITE))
    );
    let net = net_of(|| {
        let exceeded: LimitExceeded = loop {
            if let Poll::Ready(result) = poll(future.as_mut()) {
                let result: Result<(), _> = result;
                break result.unwrap_err();
            }
        };
        assert_eq!(exceeded.limit_bytes, 4608 << 10);
        assert!(
            (4 * MIB..6 * MIB).contains(&exceeded.used_bytes),
            "{exceeded:?}"
        );
    });
    assert_eq!(
        polls.load(Ordering::Relaxed),
        5,
        "1 MiB a poll, 4.5 MiB fit"
    );
    assert!(
        net < 64 << 10,
        "the future is gone, and what it held: {net}"
    );
    assert_eq!(SITE.exceeded_total(), 1);
}

#[test]
fn without_a_runtime_the_result_is_the_futures_or_the_error() {
    assert_eq!(
        block_on(grow(3).with_memory_limit(MemoryLimit::mib(8))).unwrap(),
        3
    );
    assert!(block_on(grow(30).with_memory_limit(MemoryLimit::mib(8))).is_err());
    // What it returns counts as well, or a limit would be passed by returning at once.
    let returned = async { vec![1u8; 2 << 20] };
    assert!(block_on(returned.with_memory_limit(MemoryLimit::mib(1))).is_err());
}

#[test]
fn between_polls_others_do_not_count_and_what_it_holds_stays() {
    let mut future = pin!(grow(6).with_memory_limit(MemoryLimit::kib(4608)));
    let mut strangers = Vec::new();
    for _ in 0..4 {
        assert!(poll(future.as_mut()).is_pending());
        strangers.push(vec![1u8; 16 << 20]);
    }
    let Poll::Ready(result) = poll(future.as_mut()) else {
        panic!("5 MiB fit into 4.5");
    };
    assert!(result.unwrap_err().peak_bytes < 6 * MIB);
}

#[test]
fn the_drop_of_a_future_is_charged_to_it() {
    static INNER: Site = Site::new("dropped inside");
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            std::hint::black_box(vec![1u8; 3 << 20]);
        }
    }
    let mut future = Box::pin(
        async {
            let _loud = Loud;
            yield_once().await;
        }
        .with_memory_limit(MemoryLimit::mib(2).at(&INNER)),
    );
    assert!(poll(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(INNER.exceeded_total(), 1, "its destructor passed the limit");
}

#[test]
fn policies_hold_for_futures_too() {
    let warn = MemoryLimit::mib(1)
        .on_exceed(OnExceed::Warn)
        .named("future warns");
    assert_eq!(block_on(grow(3).with_memory_limit(warn)).unwrap(), 3);
    static SHADOW: Site = Site::new("future shadow");
    let shadow = MemoryLimit::mib(1).on_exceed(OnExceed::Shadow).at(&SHADOW);
    assert_eq!(block_on(grow(3).with_memory_limit(shadow)).unwrap(), 3);
    assert_eq!(SHADOW.exceeded_total(), 1);
    let panics = MemoryLimit::mib(1)
        .on_exceed(OnExceed::Panic)
        .named("future panics");
    let payload = catch_unwind(|| block_on(grow(3).with_memory_limit(panics))).unwrap_err();
    assert!(
        payload
            .downcast_ref::<String>()
            .unwrap()
            .contains("future panics")
    );
}

#[test]
fn a_checkpoint_inside_stops_within_a_poll() {
    let stops = async {
        let mut kept = Vec::new();
        for _ in 0..1000 {
            kept.push(vec![1u8; 1 << 20]);
            if checkpoint().is_err() {
                return kept.len();
            }
        }
        0
    };
    let limit = MemoryLimit::kib(4608);
    let noticed = Arc::new(AtomicU64::new(0));
    let result = block_on(
        async {
            noticed.store(stops.await as u64, Ordering::Relaxed);
        }
        .with_memory_limit(limit),
    );
    assert!(result.is_err());
    assert_eq!(noticed.load(Ordering::Relaxed), 5);
}

#[test]
fn polled_after_it_was_ready_it_panics_as_async_blocks_do() {
    let mut future = pin!(async {}.with_memory_limit(MemoryLimit::mib(1)));
    assert!(poll(future.as_mut()).is_ready());
    let again = catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_ready()));
    let message = *again.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("polled after it was ready"), "{message}");
}

#[test]
fn a_poll_that_panics_leaves_its_scope() {
    let mut future = Box::pin(
        async {
            yield_once().await;
            panic!("inside");
        }
        .with_memory_limit(MemoryLimit::bytes(0).named("panics inside")),
    );
    let _ = poll(future.as_mut());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _: Poll<Result<(), _>> = poll(future.as_mut());
    }));
    drop(future);
    assert!(ScopeHandle::current().is_none(), "no frame stays");
    assert!(checkpoint().is_ok());
}

#[test]
fn nested_futures_fold_outwards_and_the_outer_limit_holds() {
    let outer = async {
        let parts = join_all((0..4).map(|_| grow(2).with_memory_limit(MemoryLimit::mib(3)))).await;
        parts
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
            .len()
    };
    assert_eq!(
        block_on(outer.with_memory_limit(MemoryLimit::mib(16))).unwrap(),
        4
    );

    let outer = async {
        let parts = join_all((0..8).map(|_| grow(2).with_memory_limit(MemoryLimit::mib(3)))).await;
        parts.len()
    };
    let exceeded =
        block_on(outer.with_memory_limit(MemoryLimit::mib(8).named("the outer"))).unwrap_err();
    assert_eq!(exceeded.site.name(), "the outer");
}

#[test]
fn ten_thousand_futures_deep_nothing_breaks() {
    fn deep(level: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
        Box::pin(async move {
            let kept = Box::new([1u8; 64]);
            let below = if level == 0 {
                0
            } else {
                let inner = deep(level - 1).with_memory_limit(MemoryLimit::mib(64).named("deep"));
                inner.await.unwrap()
            };
            below + kept.len()
        })
    }
    let thread = std::thread::Builder::new().stack_size(512 << 20);
    let sum = thread
        .spawn(|| block_on(deep(10_000)))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(sum, 64 * 10_001);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap()
}

#[test]
fn tasks_that_migrate_are_each_judged_by_their_own() {
    let runtime = runtime();
    let threads = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let threads = Arc::clone(&threads);
            let mib = if n % 4 == 0 { 12 } else { 3 };
            let work = async move {
                let mut kept = Vec::new();
                for _ in 0..mib {
                    kept.push(vec![1u8; 1 << 20]);
                    threads
                        .lock()
                        .unwrap()
                        .insert((n, std::thread::current().id()));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    tokio::task::yield_now().await;
                }
                kept.len()
            };
            (
                n,
                runtime.spawn(work.with_memory_limit(MemoryLimit::mib(6))),
            )
        })
        .collect();
    for (n, task) in tasks {
        let result = runtime.block_on(task).unwrap();
        assert_eq!(result.is_err(), n % 4 == 0, "task {n}: {result:?}");
    }
    let seen = threads.lock().unwrap();
    assert!(seen.len() > 64, "no task ever moved between threads");
}

#[test]
fn select_and_cancellation_leave_nothing_behind() {
    runtime().block_on(async {
        static SITE: Site = Site::new("cancelled");
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = grow(50).with_memory_limit(MemoryLimit::mib(100).at(&SITE)) => panic!("it had no time"),
                () = async { for _ in 0..3 { yield_once().await } } => {}
            }
            let slow = async {
                let _kept = vec![1u8; 1 << 20];
                std::future::pending::<()>().await;
            };
            let slow = slow.with_memory_limit(MemoryLimit::mib(2).at(&SITE));
            assert!(tokio::time::timeout(Duration::from_micros(1), slow).await.is_err());
        }
        assert_eq!(SITE.exceeded_total(), 0);
        assert!(ScopeHandle::current().is_none());
    });
}

#[test]
fn tasks_of_a_local_set_interleave_on_one_thread() {
    let local = tokio::task::LocalSet::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    local.block_on(&runtime, async {
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let mib = if n == 7 { 20 } else { 4 };
                let work = async move {
                    // Not `Send`: a guard that this task, by mistake, holds across its polls.
                    let _guard = MemoryLimit::mib(1000).named("held across await").enter();
                    grow(mib).await
                };
                (
                    n,
                    tokio::task::spawn_local(work.with_memory_limit(MemoryLimit::mib(10))),
                )
            })
            .collect();
        for (n, task) in tasks {
            assert_eq!(task.await.unwrap().is_err(), n == 7, "task {n}");
        }
    });
    assert!(checkpoint().is_ok());
}

#[test]
fn what_a_request_spawns_counts_when_it_is_attached() {
    let runtime = runtime();
    let request = async {
        let handle = ScopeHandle::current().unwrap();
        let children: Vec<_> = (0..4)
            .map(|_| tokio::spawn(handle.attach_future(grow(2))))
            .collect();
        let blocking = tokio::task::spawn_blocking({
            let handle = handle.clone();
            move || handle.attach(|| vec![1u8; 2 << 20])
        });
        let kept = blocking.await.unwrap();
        for child in children {
            child.await.unwrap();
        }
        kept.len()
    };
    // The children hold up to 8 MiB beside the 2 that stay.
    let generous = request.with_memory_limit(MemoryLimit::mib(16));
    assert!(runtime.block_on(runtime.spawn(generous)).unwrap().is_ok());

    let greedy = async {
        let handle = ScopeHandle::current().unwrap();
        let child = tokio::spawn(handle.attach_future(async {
            let mut kept = Vec::new();
            while checkpoint().is_ok() {
                kept.push(vec![1u8; 1 << 20]);
                tokio::task::yield_now().await;
            }
            kept.len()
        }));
        child.await.unwrap()
    };
    let exceeded = runtime
        .block_on(runtime.spawn(greedy.with_memory_limit(MemoryLimit::mib(8))))
        .unwrap()
        .unwrap_err();
    assert!(
        (8 * MIB..16 * MIB).contains(&exceeded.peak_bytes),
        "{exceeded:?}"
    );
}

#[test]
fn a_runaway_request_is_stopped_while_its_neighbours_go_on() {
    let runtime = runtime();
    let neighbours: Vec<_> = (0..8)
        .map(|_| runtime.spawn(grow(4).with_memory_limit(MemoryLimit::mib(8))))
        .collect();
    let runaway = runtime.spawn(grow(1_000_000).with_memory_limit(MemoryLimit::mib(8)));
    assert!(runtime.block_on(runaway).unwrap().is_err());
    for neighbour in neighbours {
        assert_eq!(runtime.block_on(neighbour).unwrap().unwrap(), 4);
    }
}
