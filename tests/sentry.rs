//! The sentry: what a scope has to tell is told while it runs, though nobody checks, nothing ends, and no manager was asked for.

#![cfg(feature = "jemalloc")]
#![cfg(target_os = "linux")]

mod support;

use std::fs;

use plimsoll::{MemoryLimit, MemoryManager, Site, checkpoint};
use support::capture::log;
use support::fork::fork;
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

fn alone(test: &str) -> bool {
    support::alone(test, &[])
}

/// The threads of this process that have `name`, by their state (`S` sleeps).
fn threads(name: &str) -> Vec<char> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    stats
        .filter(|stat| stat.contains(&format!("({name})")))
        .filter_map(|stat| stat.rsplit(") ").next()?.chars().next())
        .collect()
}

fn has_manager() -> bool {
    !threads("plimsoll-worker").is_empty()
}

/// What a program without a single check does.
fn grow() -> Vec<Vec<u8>> {
    (0..64).map(|_| vec![1u8; 64 << 10]).collect()
}

#[test]
fn a_scope_that_never_checks_and_never_ends_is_warned_about_while_it_runs() {
    if !alone("a_scope_that_never_checks_and_never_ends_is_warned_about_while_it_runs") {
        return;
    }
    let log = log();
    let scope = MemoryLimit::mib(1).named("never ends").enter();
    assert!(!has_manager());
    let kept = grow();
    wait_until("its warning", || !log.lines("never ends").is_empty());
    let lines = log.lines("never ends");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("passed its memory limit"), "{lines:?}");
    // It has made the manager, and is no longer needed.
    assert!(has_manager());
    wait_until("the sentry's end", || threads("plimsoll-sentry").is_empty());
    // What comes later is told as well.
    let other = MemoryLimit::mib(1).named("later").enter();
    let more = grow();
    wait_until("the later warning", || !log.lines("later").is_empty());
    drop((kept, more));
    drop((other, scope));
}

#[test]
fn a_thread_that_never_returns_is_warned_about() {
    if !alone("a_thread_that_never_returns_is_warned_about") {
        return;
    }
    let log = log();
    // The process's first scope is another one, on another thread.
    drop(MemoryLimit::mib(1).enter());
    std::thread::spawn(|| {
        let _scope = MemoryLimit::mib(1).named("another thread").enter();
        let _kept = grow();
        loop {
            std::thread::park();
        }
    });
    wait_until("its warning", || !log.lines("another thread").is_empty());
}

#[test]
fn nobody_makes_a_manager_before_something_is_rung() {
    if !alone("nobody_makes_a_manager_before_something_is_rung") {
        return;
    }
    static SITE: Site = Site::new("within");
    for _ in 0..1000 {
        let scope = MemoryLimit::mib(100).at(&SITE).enter();
        let kept = grow();
        assert!(scope.check().is_ok() && checkpoint().is_ok());
        drop(kept);
    }
    assert_eq!(SITE.exceeded_total(), 0);
    wait_until("a sleeping sentry", || threads("plimsoll-sentry") == ['S']);
    assert!(!has_manager());
    // So the program may still install its own, and that is what the sentry waited for.
    MemoryManager::builder().install().unwrap();
    wait_until("the sentry's end", || threads("plimsoll-sentry").is_empty());
}

#[test]
fn in_a_forked_child_the_edge_of_the_scope_makes_the_manager() {
    if !alone("in_a_forked_child_the_edge_of_the_scope_makes_the_manager") {
        return;
    }
    static SITE: Site = Site::new("the child's");
    let log = log();
    // The sentry stands in the parent, and is not forked.
    drop(MemoryLimit::mib(1).enter());
    wait_until("a sleeping sentry", || threads("plimsoll-sentry") == ['S']);
    let status = fork(|| {
        let scope = MemoryLimit::mib(1).at(&SITE).enter();
        let kept = grow();
        assert_eq!(SITE.exceeded_total(), 1, "nobody noticed");
        assert!(threads("plimsoll-sentry").is_empty() && !has_manager());
        drop(scope);
        wait_until("its warning", || !log.lines("the child's").is_empty());
        assert!(has_manager());
        drop(kept);
        0
    });
    assert_eq!(status, 0);
    // Nothing of that is the parent's.
    assert!(!has_manager() && SITE.exceeded_total() == 0);
}

#[test]
fn in_a_child_of_a_process_with_a_manager_the_edge_starts_its_threads() {
    if !alone("in_a_child_of_a_process_with_a_manager_the_edge_starts_its_threads") {
        return;
    }
    static SITE: Site = Site::new("the child's");
    let log = log();
    plimsoll::get_memory_manager();
    let status = fork(|| {
        let scope = MemoryLimit::mib(1).at(&SITE).enter();
        let kept = grow();
        assert!(SITE.exceeded_total() == 1 && !has_manager());
        drop(scope);
        wait_until("its warning", || !log.lines("the child's").is_empty());
        drop(kept);
        0
    });
    assert_eq!(status, 0);
}

/// The child knows nothing of the thread that makes the manager in its parent, and makes its own.
#[test]
fn a_child_forked_while_the_first_manager_is_made_makes_its_own() {
    if !alone("a_child_forked_while_the_first_manager_is_made_makes_its_own") {
        return;
    }
    static SITE: Site = Site::new("the child's");
    let log = log();
    // Not told about, so that no logger of the parent is at work when it forks; what it rings for is the counter.
    let counter = plimsoll::PeriodicCleanup::every(1);
    counter.tick();
    let status = fork(|| {
        let scope = MemoryLimit::mib(1).at(&SITE).enter();
        let kept = grow();
        drop(scope);
        wait_until("its warning", || !log.lines("the child's").is_empty());
        drop(kept);
        0
    });
    assert_eq!(status, 0);
}
