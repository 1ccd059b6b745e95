//! What the ledger keeps of every site, and what it learns from that.

#![cfg(feature = "jemalloc")]

mod support;

use std::hint::black_box;
use std::sync::mpsc;

use plimsoll::{
    LimitExceeded, MemoryLimit, OnExceed, ScopeStats, Site, WithMemoryLimit, get_memory_manager,
    memory_limit,
};
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

fn stats(name: &str) -> Option<ScopeStats> {
    get_memory_manager()
        .scopes()
        .into_iter()
        .find(|scope| scope.name == name)
}

#[test]
fn a_site_keeps_calls_peaks_and_crossings() {
    static SITE: Site = Site::new("kept");
    assert!(stats("kept").is_none(), "never entered");
    for n in 1..=10u64 {
        let scope = MemoryLimit::mib(8).at(&SITE).enter();
        let block = black_box(vec![1u8; (n << 20) as usize]);
        drop(block);
        drop(scope);
    }
    let kept = stats("kept").unwrap();
    assert_eq!(kept.calls_total, 10);
    // 8 MiB fit exactly, and nothing else was in the scope.
    assert_eq!(kept.exceeded_total, 2);
    assert!((10 * MIB..11 * MIB).contains(&kept.peak_bytes));
    let median = kept.quantile_bytes(0.5).unwrap();
    assert!((5 * MIB..=6 * MIB).contains(&median), "{median}");
    assert_eq!(kept.last_crossing.unwrap().limit_bytes, 8 * MIB);
    assert!(std::ptr::eq(kept.site.unwrap(), &SITE));
    assert_eq!(kept.current_bytes, Some(0));
}

#[test]
fn every_way_to_end_counts_once() {
    static SITE: Site = Site::new("every way");
    let enter = || MemoryLimit::kib(100).at(&SITE).enter();
    let calls = || stats("every way").map_or(0, |scope| scope.calls_total);
    drop(enter());
    assert_eq!(calls(), 1);
    enter().finish();
    assert_eq!(calls(), 2);
    let scope = enter();
    drop(black_box(vec![1u8; 1 << 20]));
    drop(scope);
    assert_eq!(calls(), 3, "past its limit");
    let scope = enter();
    let handle = scope.handle();
    std::thread::spawn(move || handle.attach(|| black_box(vec![1u8; 1000])))
        .join()
        .unwrap();
    drop(scope);
    assert_eq!(calls(), 4, "shared: one call, whoever works for it");
    let _ = std::panic::catch_unwind(|| {
        let _scope = enter();
        panic!("on the way out");
    });
    assert_eq!(calls(), 5);
    let around = MemoryLimit::mib(1).named("around every way").enter();
    drop(enter());
    drop(around);
    assert_eq!(calls(), 6, "within another");
    let future = async {}.with_memory_limit(MemoryLimit::mib(1).at(&SITE));
    futures::executor::block_on(future).unwrap();
    assert_eq!(calls(), 7);
    drop(async {}.with_memory_limit(MemoryLimit::mib(1).at(&SITE)));
    assert_eq!(calls(), 7, "a future that was never polled never began");
    fn recurse(depth: usize) {
        let _scope = MemoryLimit::kib(100).at(&SITE).enter();
        if depth > 0 {
            recurse(depth - 1);
        }
    }
    recurse(100);
    assert_eq!(calls(), 8, "recursion is one scope");
}

#[test]
fn what_open_scopes_hold_is_seen_while_they_run() {
    static SITE: Site = Site::new("current");
    let current = || stats("current").map_or(0, |scope| scope.current_bytes.unwrap());
    let (grown, wait_grown) = mpsc::channel();
    let (shrink, wait_shrink) = mpsc::channel::<()>();
    let worker = std::thread::spawn(move || {
        let scope = MemoryLimit::mib(100).at(&SITE).enter();
        let block = vec![1u8; 64 << 20];
        grown.send(()).unwrap();
        wait_shrink.recv().unwrap();
        drop(block);
        // The next event finds it lower.
        for _ in 0..8 {
            black_box(vec![1u8; 256 << 10]);
        }
        grown.send(()).unwrap();
        wait_shrink.recv().unwrap();
        drop(scope);
    });
    wait_grown.recv().unwrap();
    assert!((63 * MIB..65 * MIB).contains(&current()), "{}", current());
    let top = get_memory_manager().scopes().swap_remove(0);
    assert_eq!(top.name, "current", "the top consumer comes first");
    shrink.send(()).unwrap();
    wait_grown.recv().unwrap();
    assert!(current() < MIB, "{}", current());
    shrink.send(()).unwrap();
    worker.join().unwrap();
    assert_eq!(current(), 0);
}

#[test]
fn a_future_that_waits_is_seen_as_well() {
    static SITE: Site = Site::new("waits");
    let current = || stats("waits").map_or(0, |scope| scope.current_bytes.unwrap());
    let mut waiting = Box::pin(
        async {
            let _block = vec![1u8; 16 << 20];
            std::future::pending::<()>().await;
        }
        .with_memory_limit(MemoryLimit::mib(100).at(&SITE)),
    );
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(waiting.as_mut(), &mut context).is_pending());
    assert!((15 * MIB..17 * MIB).contains(&current()), "{}", current());
    assert!(std::future::Future::poll(waiting.as_mut(), &mut context).is_pending());
    drop(waiting);
    assert_eq!(current(), 0);
    assert_eq!(stats("waits").unwrap().calls_total, 1);
}

#[test]
fn threads_that_end_leave_their_counts_behind() {
    static SITE: Site = Site::new("short threads");
    for _ in 0..500 {
        std::thread::spawn(|| drop(MemoryLimit::mib(1).at(&SITE).enter()))
            .join()
            .unwrap();
    }
    assert_eq!(stats("short threads").unwrap().calls_total, 500);
}

#[test]
fn a_limit_is_suggested_from_what_was_used() {
    static SITE: Site = Site::new("learned");
    for _ in 0..1000 {
        let scope = MemoryLimit::mib(1000).at(&SITE).enter();
        black_box(vec![1u8; 5 << 20]);
        drop(scope);
    }
    let suggestion = stats("learned").unwrap().suggestion().unwrap();
    assert_eq!(suggestion.calls, 1000);
    assert!((5 * MIB..6 * MIB).contains(&suggestion.p99_bytes));
    let text = suggestion.to_string();
    assert!(
        text.starts_with("p99 of 1,000 calls is 5.") && text.contains("suggest `#[memory_limit("),
        "{text}"
    );
    // Good for what was seen: under the suggested limit nothing would have been stopped.
    assert!(suggestion.limit_bytes >= 5 * MIB && suggestion.limit_bytes < 8 * MIB);
}

#[test]
fn shadow_counts_what_a_limit_would_have_stopped() {
    #[memory_limit(max = "1MiB", on_exceed = "shadow", name = "in the shadow")]
    fn shadowed(bytes: usize) -> Vec<u8> {
        let block = vec![1; bytes];
        assert!(plimsoll::checkpoint().is_ok());
        block
    }
    let log = support::capture::log();
    for n in 0..10 {
        shadowed(n << 18);
    }
    let shadow = stats("in the shadow").unwrap();
    assert_eq!(
        (
            shadow.calls_total,
            shadow.exceeded_total,
            shadow.shadow_total
        ),
        (10, 5, 5)
    );
    // A loud one after it is told; by then the shadow's would have been.
    let loud = MemoryLimit::kib(1).named("in the light").enter();
    black_box(vec![1u8; 4096]);
    let kept = black_box(vec![1u8; 4096]);
    assert!(loud.check().is_err());
    drop(kept);
    wait_until("the loud warning", || !log.lines("in the light").is_empty());
    assert!(log.lines("in the shadow").is_empty());
    let scope = MemoryLimit::bytes(0).on_exceed(OnExceed::Shadow).enter();
    let kept = Box::new(1);
    assert!(scope.check().is_ok() && scope.finish().exceeded);
    drop(kept);
}

#[memory_limit(max = "2MiB", on_exceed = "error", name = "async by attribute")]
async fn load(mib: usize) -> Result<usize, LimitExceeded> {
    let mut kept = Vec::new();
    for _ in 0..mib {
        kept.push(vec![1u8; 1 << 20]);
        tokio::task::yield_now().await;
    }
    Ok(kept.len())
}

#[memory_limit(max = "2MiB", name = "async that warns")]
async fn load_all(mib: usize) -> usize {
    load_unbounded(mib).await
}

async fn load_unbounded(mib: usize) -> usize {
    vec![1u8; mib << 20].len()
}

struct Store;

#[async_trait::async_trait]
trait Loads {
    async fn load(&self, mib: usize) -> Result<usize, LimitExceeded>;
}

#[async_trait::async_trait]
impl Loads for Store {
    #[memory_limit(max = "2MiB", on_exceed = "error", name = "async trait")]
    async fn load(&self, mib: usize) -> Result<usize, LimitExceeded> {
        Ok(load_unbounded(mib).await)
    }
}

#[test]
fn the_attribute_holds_on_async_functions() {
    use futures::executor::block_on;
    assert_eq!(block_on(load(1)).unwrap(), 1);
    assert!(block_on(load(50)).is_err());
    assert_eq!(block_on(load_all(4)), 4 << 20);
    assert_eq!(block_on(Store.load(1)).unwrap(), 1 << 20);
    assert!(block_on(Store.load(4)).is_err());
    for (name, calls, exceeded) in [
        ("async by attribute", 2, 1),
        ("async that warns", 1, 1),
        ("async trait", 2, 1),
    ] {
        let scope = stats(name).unwrap();
        assert_eq!(
            (scope.calls_total, scope.exceeded_total),
            (calls, exceeded),
            "{name}"
        );
    }
}
