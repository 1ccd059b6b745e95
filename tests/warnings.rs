//! A scope that is over its limit all the time does not fill the log: one warning per site and second at most, and none lost.

#![cfg(feature = "jemalloc")]

mod support;

use std::time::Instant;

use plimsoll::{MemoryLimit, Site, get_memory_manager};
use support::{capture, wait_until};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// The value of `scopes=` in each line.
fn scopes(lines: &[String]) -> u64 {
    lines
        .iter()
        .map(|line| {
            let value = line.split("scopes=").nth(1).unwrap();
            value
                .split_whitespace()
                .next()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum()
}

#[test]
fn warnings_are_few_and_count_what_they_stand_for() {
    static BUSY: Site = Site::new("busy site");
    static QUIET: Site = Site::new("quiet site");
    let log = capture::log();
    get_memory_manager();
    let start = Instant::now();
    let mut crossings = 0;
    let mut cross = |site: &'static Site| {
        let scope = MemoryLimit::bytes(1).at(site).enter();
        let kept = vec![1u8; 64];
        assert!(scope.check().is_err());
        drop((scope, kept));
        crossings += 1;
    };
    cross(&QUIET);
    while start.elapsed().as_millis() < 1500 {
        cross(&BUSY);
    }
    wait_until("all crossings are told", || {
        scopes(&log.lines("busy site")) + scopes(&log.lines("quiet site")) == crossings
    });
    let seconds = start.elapsed().as_secs() as usize;
    assert!(
        log.lines("busy site").len() <= seconds + 2,
        "{:?}",
        log.lines("busy site")
    );
    assert_eq!(log.lines("quiet site").len(), 1);
}
