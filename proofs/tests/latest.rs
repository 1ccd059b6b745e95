//! A few numbers that belong together: read whole or not at all, whoever writes meanwhile, and no writer waits for another.
//!
//! The first thread writes and the others read, for loom tries an order of two steps only if the second is in conflict with the last
//! one before it: a write that follows its own thread's read hides what was read before both.

#[path = "../../src/sys/latest.rs"]
mod latest;

#[path = "sys/mod.rs"]
mod sys;

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;

type Latest = latest::Latest<3>;

fn new() -> Arc<Latest> {
    Arc::new(Latest::new(std::array::from_fn(|_| AtomicU64::new(0))))
}

/// Three numbers that show whether they belong together.
fn triple(n: u64) -> [u64; 3] {
    [n, n + 1, n + 2]
}

/// What was set last, if there was a quiet moment.
#[track_caller]
fn get(latest: &Latest) -> Option<u64> {
    latest.get().map(|values| {
        assert_eq!(values, triple(values[0]), "of two writers");
        values[0]
    })
}

/// Every order of steps in which no thread is interrupted more than three times at a step where it could go on.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn a_reader_sees_one_writing_or_the_other() {
    model(|| {
        let latest = new();
        let reader = {
            let latest = Arc::clone(&latest);
            loom::thread::spawn(move || {
                let first = get(&latest);
                let second = get(&latest);
                assert!(first <= second, "{first:?}, then {second:?}");
            })
        };
        // The only writer is never in anybody's way.
        assert!(latest.set(triple(10)));
        assert!(latest.set(triple(20)));
        assert_eq!(get(&latest), Some(20));
        reader.join().unwrap();
    });
}

#[test]
fn two_writers_at_once_leave_what_one_of_them_wrote() {
    model(|| {
        let latest = new();
        let other = {
            let latest = Arc::clone(&latest);
            loom::thread::spawn(move || latest.set(triple(20)))
        };
        let reader = {
            let latest = Arc::clone(&latest);
            loom::thread::spawn(move || get(&latest))
        };
        let mine = latest.set(triple(10));
        let others = other.join().unwrap();
        assert!(matches!(reader.join().unwrap(), None | Some(10 | 20)));
        // One may have left it at that, both never.
        assert!(mine || others);
        match get(&latest) {
            Some(10) => assert!(mine),
            Some(20) => assert!(others),
            other => panic!("{other:?}"),
        }
        // At rest it is everybody's again.
        assert!(latest.set(triple(30)));
        assert_eq!(get(&latest), Some(30));
    });
}
