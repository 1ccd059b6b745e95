//! Counting per thread loses nothing: what a thread did not fill, it hands over when it ends.

#![cfg(feature = "jemalloc")]

mod support;

use plimsoll::{PeriodicCleanup, PeriodicStats, get_memory_manager};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

fn site(name: &str) -> PeriodicStats {
    let stats = get_memory_manager().stats();
    stats
        .periodic
        .into_iter()
        .find(|site| site.name == name)
        .unwrap()
}

#[test]
fn a_thousand_threads_of_99_calls_request_990_times() {
    static EVENTS: PeriodicCleanup = PeriodicCleanup::every(100).named("a thousand threads");
    for _ in 0..100 {
        // Joined one by one: the end of a `thread::scope` does not wait for the destructors of thread-locals.
        let threads: Vec<_> = (0..10)
            .map(|_| std::thread::spawn(|| (0..99).for_each(|_| EVENTS.tick())))
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
    let stats = site("a thousand threads");
    assert_eq!((stats.calls_total, stats.requests_total), (99_000, 990));
}

#[test]
fn a_live_thread_keeps_less_than_a_round() {
    static EVENTS: PeriodicCleanup = PeriodicCleanup::every(100).named("live");
    (0..199).for_each(|_| EVENTS.tick());
    let stats = site("live");
    assert_eq!((stats.calls_total, stats.requests_total), (100, 1));
}

#[test]
fn sites_that_take_turns_on_one_place_lose_nothing() {
    let names: Vec<&'static str> = (0..100).map(|n| &*format!("turns {n}").leak()).collect();
    std::thread::spawn({
        let names = names.clone();
        move || {
            for _ in 0..50 {
                for name in &names {
                    PeriodicCleanup::every(10).named(name).tick();
                }
            }
        }
    })
    .join()
    .unwrap();
    for name in names {
        let stats = site(name);
        assert_eq!((stats.calls_total, stats.requests_total), (50, 5), "{name}");
    }
}

#[test]
fn every_place_without_a_name_counts_for_itself_and_zero_counts_as_one() {
    for _ in 0..3 {
        PeriodicCleanup::every(0).tick();
    }
    let line = line!() - 2;
    let stats = site(&format!("{}:{line}", file!()));
    assert_eq!(
        (
            stats.interval_calls,
            stats.calls_total,
            stats.requests_total
        ),
        (1, 3, 3)
    );
}
