//! A program with nothing but attributes: the first thing they have to say starts a manager, which warns and cleans up.

#![cfg(feature = "jemalloc")]

mod support;

use plimsoll::{CleanupReason, memory_limit, periodic_cleanup};
use support::{assert_success, child, is_child, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

fn has_worker() -> bool {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .any(|name| name.trim() == "plimsoll-worker")
}

#[memory_limit(1)]
fn big() -> Vec<u8> {
    vec![1; 2 << 20]
}

#[periodic_cleanup(10)]
fn often() {}

#[test]
fn a_limit_that_is_passed_starts_a_manager_that_cleans_up() {
    if !is_child() {
        return assert_success(
            &child("a_limit_that_is_passed_starts_a_manager_that_cleans_up")
                .output()
                .unwrap(),
        );
    }
    assert!(!has_worker());
    let kept = big();
    wait_until("a worker", has_worker);
    wait_until("a cleanup", || {
        let last = plimsoll::get_memory_manager().stats().last_cleanup;
        last.is_some_and(|report| report.reason == Some(CleanupReason::LimitExceeded))
    });
    drop(kept);
}

#[test]
fn a_full_round_starts_a_manager() {
    if !is_child() {
        return assert_success(&child("a_full_round_starts_a_manager").output().unwrap());
    }
    (0..9).for_each(|_| often());
    assert!(!has_worker());
    often();
    wait_until("a worker", has_worker);
}
