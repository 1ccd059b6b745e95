//! The bell: what is rung is heard, whether it is rung while the worker sleeps, falls asleep or takes what was rung before, and
//! whether it is rung before, while or after the bell is installed.
//!
//! The futex is a lock and a condition here (`sys`), and time is never up: a lost ring is a worker that sleeps for ever.

#![allow(
    dead_code,
    reason = "the library's files, of which a model uses its part"
)]

#[path = "../../src/meter/belfry.rs"]
mod belfry;
#[path = "../../src/meter/bell.rs"]
mod bell;

mod sys;

/// Where the library has them.
mod meter {
    pub(crate) use crate::bell;
}

use std::sync::Arc;
use std::time::Duration;

use belfry::Belfry;
use bell::{Bell, ring};
use loom::sync::atomic::{AtomicU64, Ordering};

const FOR_EVER: Duration = Duration::MAX;

/// Every order of steps in which no thread is interrupted more than twice at a step where it could go on.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

/// The worker: listens until it has heard all of `wanted`.
fn hear(bell: &Bell, wanted: u32) {
    let mut heard = 0;
    while heard & wanted != wanted {
        heard |= bell.wait(FOR_EVER, 0);
    }
}

#[test]
fn every_ring_is_heard() {
    model(|| {
        let bell = Arc::new(Bell::new());
        let ringers = [ring::EXCEEDED, ring::CHECK].map(|bits| {
            let bell = Arc::clone(&bell);
            loom::thread::spawn(move || bell.ring(bits))
        });
        hear(&bell, ring::EXCEEDED | ring::CHECK);
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

/// Not so for a check, which passes by one that waits: it says "look", and no more.
#[test]
fn who_hears_a_ring_sees_what_was_done_before_it() {
    model(|| {
        let bell = Arc::new(Bell::new());
        let done = Arc::new(AtomicU64::new(0));
        let ringers: Vec<_> = (0..2)
            .map(|_| {
                let (bell, done) = (Arc::clone(&bell), Arc::clone(&done));
                loom::thread::spawn(move || {
                    done.fetch_add(1, Ordering::Relaxed);
                    bell.ring(ring::EXCEEDED);
                })
            })
            .collect();
        while done.load(Ordering::Relaxed) < 2 {
            bell.wait(FOR_EVER, 0);
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    });
}

#[test]
fn what_is_postponed_keeps_nothing_else_from_being_heard() {
    model(|| {
        let bell = Arc::new(Bell::new());
        let ringer = {
            let bell = Arc::clone(&bell);
            loom::thread::spawn(move || {
                bell.ring(ring::CHECK);
                bell.ring(ring::LOOK);
            })
        };
        let mut heard = 0;
        while heard & ring::LOOK == 0 {
            heard |= bell.wait(FOR_EVER, ring::CHECK);
        }
        assert_eq!(heard, ring::LOOK);
        // And stays set until it is due.
        assert_eq!(bell.wait(FOR_EVER, 0), ring::CHECK);
        ringer.join().unwrap();
    });
}

/// A bell for one run of a model; loom's atomics can't be static.
fn hang() -> &'static Bell {
    Box::leak(Box::new(Bell::new()))
}

fn ring_in(belfry: &Arc<Belfry>, bits: u32) -> loom::thread::JoinHandle<()> {
    let belfry = Arc::clone(belfry);
    loom::thread::spawn(move || belfry.ring(bits))
}

#[test]
fn what_is_rung_while_a_bell_is_installed_reaches_it() {
    model(|| {
        let belfry = Arc::new(Belfry::new());
        let ringers = [ring::EXCEEDED, ring::LOOK].map(|bits| ring_in(&belfry, bits));
        let bell = hang();
        belfry.is_listened_to(bell);
        assert!(belfry.install(bell));
        hear(bell, ring::EXCEEDED | ring::LOOK);
        for ringer in ringers {
            ringer.join().unwrap();
        }
        assert!(!belfry.has_unheard());
    });
}

/// As in a forked child, whose bell is installed and has no listener yet.
#[test]
fn what_is_rung_while_a_listener_comes_reaches_it() {
    model(|| {
        let belfry = Arc::new(Belfry::new());
        let bell = hang();
        assert!(belfry.install(bell));
        let ringers = [ring::EXCEEDED, ring::LOOK].map(|bits| ring_in(&belfry, bits));
        belfry.is_listened_to(bell);
        hear(bell, ring::EXCEEDED | ring::LOOK);
        for ringer in ringers {
            ringer.join().unwrap();
        }
        assert!(!belfry.has_unheard());
    });
}

#[test]
fn the_sentry_is_woken_and_what_woke_it_reaches_the_bell_it_makes() {
    model(|| {
        let belfry = Arc::new(Belfry::new());
        let ringers = [ring::EXCEEDED, ring::LOOK].map(|bits| ring_in(&belfry, bits));
        assert!(belfry.stand_sentry());
        let bell = hang();
        belfry.is_listened_to(bell);
        assert!(belfry.install(bell));
        hear(bell, ring::EXCEEDED | ring::LOOK);
        for ringer in ringers {
            ringer.join().unwrap();
        }
        // Nothing is left to stand for.
        assert!(!belfry.stand_sentry());
    });
}

#[test]
fn the_sentry_leaves_when_a_bell_is_installed() {
    model(|| {
        let belfry = Arc::new(Belfry::new());
        let sentry = {
            let belfry = Arc::clone(&belfry);
            loom::thread::spawn(move || belfry.stand_sentry())
        };
        let bell = hang();
        belfry.is_listened_to(bell);
        assert!(belfry.install(bell));
        assert!(!sentry.join().unwrap(), "nothing was rung");
    });
}

#[test]
fn the_first_bell_stays() {
    model(|| {
        let belfry = Arc::new(Belfry::new());
        let other = {
            let belfry = Arc::clone(&belfry);
            loom::thread::spawn(move || belfry.install(hang()))
        };
        let mine = belfry.install(hang());
        assert!(mine != other.join().unwrap());
    });
}
