//! A tracing subscriber is somebody else's code: it may panic, and it may ask the manager whose words it prints.

#![cfg(feature = "jemalloc")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll::{CleanupOutcome, MemoryLimit, MemoryManager, get_memory_manager};
use support::{assert_success, child, is_child, wait_until};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

struct OnEvent(fn());

impl<S: tracing::Subscriber> Layer<S> for OnEvent {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        (self.0)();
    }
}

fn subscribe(on_event: fn()) {
    tracing_subscriber::registry()
        .with(OnEvent(on_event))
        .init();
}

#[test]
fn one_that_panics_ends_neither_runner_nor_worker() {
    static EVENTS: AtomicU64 = AtomicU64::new(0);
    if !is_child() {
        let output = child("one_that_panics_ends_neither_runner_nor_worker").output();
        return assert_success(&output.unwrap());
    }
    subscribe(|| {
        EVENTS.fetch_add(1, Ordering::SeqCst);
        panic!("the log's disk is full");
    });
    let manager = get_memory_manager();
    for _ in 0..3 {
        assert_eq!(manager.force_cleanup().outcome, CleanupOutcome::Cleaned);
    }
    for round in 0..2 {
        let before = EVENTS.load(Ordering::SeqCst);
        let scope = MemoryLimit::bytes(1)
            .named("crossed")
            .cleanup_on_exceed(false)
            .enter();
        let kept = vec![1u8; 4096];
        assert!(scope.check().is_err(), "{round}");
        wait_until("the worker tells", || {
            EVENTS.load(Ordering::SeqCst) > before
        });
        drop(kept);
    }
}

#[test]
fn one_that_asks_for_the_usage_does_not_ask_for_ever() {
    if !is_child() {
        let output = child("one_that_asks_for_the_usage_does_not_ask_for_ever")
            .env("PLIMSOLL_MEMORY_LIMIT", "junk")
            .output();
        return assert_success(&output.unwrap());
    }
    subscribe(|| {
        get_memory_manager().usage();
    });
    // The bad variable is told as soon as there is a manager to ask.
    assert_eq!(
        get_memory_manager().findings()[0].code,
        "environment-ignored"
    );
    assert!(MemoryManager::builder().build().is_err());
}
