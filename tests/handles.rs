//! Scopes that several threads work for.

#![cfg(feature = "jemalloc")]

use std::hint::black_box;

use plimsoll::{LimitExceeded, MemoryLimit, OnExceed, ScopeHandle, Site, checkpoint};
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: u64 = 1 << 20;

fn erring(mib: u64) -> MemoryLimit {
    MemoryLimit::mib(mib).on_exceed(OnExceed::Error)
}

#[test]
fn what_attached_threads_hold_counts() {
    let scope = MemoryLimit::mib(100).named("attached").enter();
    let handle = scope.handle();
    let own = vec![1u8; 2 << 20];
    let kept: Vec<Vec<u8>> = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..3)
            .map(|_| threads.spawn(|| handle.attach(|| vec![1u8; 4 << 20])))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let report = scope.finish();
    assert!(report.attached_net_bytes >= 12 * MIB as i64, "{report:?}");
    assert!(
        (2 * MIB as i64..3 * MIB as i64).contains(&report.net_bytes),
        "{report:?}"
    );
    assert!(
        (14 * MIB..15 * MIB).contains(&report.peak_bytes),
        "{report:?}"
    );
    drop((own, kept));
}

#[test]
fn a_limit_stops_all_who_work_for_it() {
    static SITE: Site = Site::new("fan out");
    let scope = erring(16).at(&SITE).enter();
    let handle = scope.handle();
    let stopped: usize = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                threads.spawn(|| {
                    handle.attach(|| {
                        let mut kept = Vec::new();
                        // Nobody alone passes the limit before all together have.
                        while checkpoint().is_ok() {
                            assert!(kept.len() < 1 << 20, "nobody noticed");
                            kept.push(Box::new([1u8; 1024]));
                        }
                        kept.len()
                    })
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert!(stopped >= 15 << 10, "{stopped}");
    assert!(checkpoint().is_err() && scope.check().is_err());
    assert_eq!(SITE.exceeded_total(), 1, "one scope, one crossing");
}

#[test]
fn on_the_scopes_own_thread_attaching_counts_nothing_twice() {
    let scope = MemoryLimit::mib(100).named("twice").enter();
    let handle = scope.handle();
    let kept = handle.attach(|| handle.attach(|| vec![1u8; 4 << 20]));
    let report = scope.finish();
    assert!(
        (4 * MIB..5 * MIB).contains(&report.peak_bytes),
        "{report:?}"
    );
    assert_eq!(report.attached_net_bytes, 0);
    drop(kept);
}

#[test]
fn attached_work_counts_in_every_scope_around_too() {
    let outer = erring(6).named("around fan out").enter();
    let inner = erring(100).named("inner fan out").enter();
    let handle = inner.handle();
    let kept = std::thread::spawn(move || {
        handle.attach(|| {
            let kept = vec![1u8; 8 << 20];
            (kept, checkpoint().unwrap_err().site.name())
        })
    })
    .join()
    .unwrap();
    assert_eq!(kept.1, "around fan out");
    assert!(inner.check().is_ok());
    assert!(outer.check().is_err());
    assert!(inner.finish().peak_bytes >= 8 * MIB);
    assert!(outer.finish().peak_bytes >= 8 * MIB);
}

#[test]
fn what_was_held_before_the_handle_counts_once() {
    let scope = erring(10).named("late handle").enter();
    let kept = vec![1u8; 6 << 20];
    let handle = scope.handle();
    assert!(scope.check().is_ok());
    let more = std::thread::spawn(move || handle.attach(|| vec![1u8; 6 << 20]))
        .join()
        .unwrap();
    let exceeded: LimitExceeded = scope.check().unwrap_err();
    assert!(
        (12 * MIB..13 * MIB).contains(&exceeded.used_bytes),
        "{exceeded:?}"
    );
    drop((kept, more));
}

#[test]
fn memory_that_moves_between_attached_threads_balances() {
    let scope = erring(10).named("balances").enter();
    let handle = scope.handle();
    for _ in 0..20 {
        let handle = handle.clone();
        let sent = std::thread::spawn({
            let handle = handle.clone();
            move || handle.attach(|| vec![1u8; 4 << 20])
        });
        let received = sent.join().unwrap();
        std::thread::spawn(move || handle.attach(|| drop(received)))
            .join()
            .unwrap();
    }
    let report = scope.finish();
    assert!(!report.exceeded, "{report:?}");
    assert!(report.attached_net_bytes.abs() < MIB as i64, "{report:?}");
}

#[test]
fn a_handle_outlives_its_scope() {
    let scope = erring(2).named("outlived").enter();
    let handle = scope.handle();
    drop(scope);
    assert!(checkpoint().is_ok());
    let stopped = std::thread::spawn(move || {
        handle.attach(|| {
            let kept = black_box(vec![1u8; 4 << 20]);
            let stopped = checkpoint().is_err();
            drop(kept);
            stopped
        })
    });
    assert!(stopped.join().unwrap());
}

#[test]
fn rayon_works_for_the_scope_that_asked() {
    let scope = MemoryLimit::mib(1000).named("rayon").enter();
    let handle = scope.handle();
    let kept: Vec<Vec<u8>> = (0..64)
        .into_par_iter()
        .map(|_| handle.attach(|| vec![1u8; 1 << 20]))
        .collect();
    let peak = scope.finish().peak_bytes;
    assert!((64 * MIB..66 * MIB).contains(&peak), "{peak}");
    assert_eq!(kept.len(), 64);
}

#[test]
fn a_panic_in_attached_work_leaves_the_scope() {
    let scope = MemoryLimit::mib(1).enter();
    let handle = scope.handle();
    std::thread::spawn(move || {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            handle.attach(|| panic!("inside"));
        }));
        assert!(panicked.is_err());
        assert!(ScopeHandle::current().is_none());
    })
    .join()
    .unwrap();
}

#[test]
fn an_attached_thread_may_have_scopes_of_its_own() {
    let scope = erring(100).named("outside").enter();
    let handle = scope.handle();
    std::thread::spawn(move || {
        let around = erring(1000).named("the thread's").enter();
        handle.attach(|| {
            let inside = erring(1).named("inside attached").enter();
            let kept = vec![1u8; 2 << 20];
            assert_eq!(checkpoint().unwrap_err().site.name(), "inside attached");
            drop((kept, inside));
        });
        assert!(around.finish().peak_bytes >= 2 * MIB);
    })
    .join()
    .unwrap();
    assert!(scope.finish().peak_bytes >= 2 * MIB);
}
