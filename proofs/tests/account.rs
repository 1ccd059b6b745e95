//! What several threads hold for one scope: the sum is theirs, whoever passes the limit notes that once, and a scope that has ended
//! leaves nothing at its site.

#![allow(
    dead_code,
    reason = "the library's files, of which a model uses its part"
)]

#[path = "../../src/scope/account.rs"]
mod account;
#[path = "../../src/meter/tab.rs"]
mod tab;

mod sys;

mod meter {
    pub(crate) use crate::tab::Tab;
}

/// Stands for the library's, as far as an account uses it.
mod scope {
    use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use terms::Terms;

    #[derive(Debug)]
    pub(crate) struct Site {
        current_bytes: AtomicI64,
        crossings: AtomicU64,
    }

    impl Site {
        /// For one run of a model; loom's atomics can't be static.
        pub(crate) fn leaked() -> &'static Self {
            Box::leak(Box::new(Site {
                current_bytes: AtomicI64::new(0),
                crossings: AtomicU64::new(0),
            }))
        }

        pub(crate) fn add_current(&self, gained_bytes: i64) {
            self.current_bytes
                .fetch_add(gained_bytes, Ordering::Relaxed);
        }

        pub(crate) fn note_crossing(&self, terms: Terms, used_bytes: i64) {
            assert!(terms.are_exceeded_by(used_bytes));
            self.crossings.fetch_add(1, Ordering::Relaxed);
        }

        pub(crate) fn current_bytes(&self) -> i64 {
            self.current_bytes.load(Ordering::Relaxed)
        }

        pub(crate) fn crossings(&self) -> u64 {
            self.crossings.load(Ordering::Relaxed)
        }
    }

    pub(crate) mod frame {
        pub(crate) const PUBLISH_STEP_BYTES: i64 = 4;
    }

    pub(crate) mod terms {
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Terms {
            pub(crate) limit_bytes: u64,
        }

        impl Terms {
            pub(crate) fn are_exceeded_by(self, used_bytes: i64) -> bool {
                used_bytes > 0 && used_bytes as u64 > self.limit_bytes
            }
        }
    }
}

use std::sync::Arc;

use account::{Account, SoFar};
use scope::Site;
use scope::frame::PUBLISH_STEP_BYTES;
use scope::terms::Terms;
use tab::{Outstanding, Tab};

const LIMIT_BYTES: u64 = 10;

fn account() -> Account {
    let terms = Terms {
        limit_bytes: LIMIT_BYTES,
    };
    Account::new(Site::leaked(), terms, &[])
}

fn post(account: &Arc<Account>, gains: &'static [i64]) -> loom::thread::JoinHandle<()> {
    let account = Arc::clone(account);
    loom::thread::spawn(move || {
        for &gained_bytes in gains {
            account.post(gained_bytes);
        }
    })
}

fn join<const N: usize>(threads: [loom::thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Every order of steps in which no thread is interrupted more than three times at a step where it could go on.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn the_sum_is_what_all_have_posted() {
    model(|| {
        let account = Arc::new(account());
        join([post(&account, &[3, 4]), post(&account, &[2, -6])]);
        assert_eq!(account.used_bytes(), 3);
        // The highest of the sums in some order of these postings.
        assert!((3..=9).contains(&account.peak_bytes()));
        assert!(!account.is_exceeded() && account.site.crossings() == 0);
    });
}

#[test]
fn a_limit_that_only_all_together_pass_is_noted_once() {
    model(|| {
        let account = Arc::new(account());
        join([post(&account, &[6, 6]), post(&account, &[6])]);
        assert!(account.is_exceeded());
        assert_eq!(account.site.crossings(), 1);
        assert_eq!(account.peak_bytes(), 18);
    });
}

#[test]
fn a_verdict_stays_when_what_passed_the_limit_is_freed() {
    model(|| {
        let account = Arc::new(account());
        join([post(&account, &[12, -12]), post(&account, &[12, -12])]);
        assert!(account.is_exceeded() && account.used_bytes() == 0);
        assert_eq!(account.site.crossings(), 1);
    });
}

#[test]
fn a_crossing_before_it_was_shared_is_not_noted_again() {
    model(|| {
        let mut account = account();
        account.take_over(SoFar {
            peak_bytes: 11,
            exceeded: true,
            published_bytes: 0,
        });
        let account = Arc::new(account);
        join([post(&account, &[20]), post(&account, &[20])]);
        assert_eq!(account.site.crossings(), 0);
    });
}

#[test]
fn the_site_knows_what_is_held_to_a_step() {
    model(|| {
        let account = Arc::new(account());
        join([post(&account, &[8]), post(&account, &[8, -8])]);
        let off = account.site.current_bytes() - account.used_bytes();
        assert!(off.abs() < PUBLISH_STEP_BYTES, "off by {off}");
    });
}

#[test]
fn a_scope_that_has_ended_leaves_nothing_at_its_site() {
    model(|| {
        let account = Arc::new(account());
        account.post(6);
        let threads = [post(&account, &[7]), post(&account, &[5, -9])];
        account.end();
        join(threads);
        assert_eq!(account.site.current_bytes(), 0);
        // What is posted after the end still counts against the limit.
        assert_eq!(account.used_bytes(), 9);
        assert!(account.is_exceeded() && account.site.crossings() == 1);
    });
}

#[test]
fn ending_twice_is_ending_once() {
    model(|| {
        let account = Arc::new(account());
        account.post(6);
        let other = {
            let account = Arc::clone(&account);
            loom::thread::spawn(move || account.end())
        };
        account.end();
        other.join().unwrap();
        assert_eq!(account.site.current_bytes(), 0);
    });
}

#[test]
fn what_all_post_fills_the_tab() {
    model(|| {
        let pool = Arc::new(Outstanding::new());
        pool.claim(10);
        let account = Arc::new(account());
        assert!(account.spend(Arc::new(Tab::claimed(&pool, 10))));
        join([post(&account, &[3]), post(&account, &[4])]);
        assert_eq!(pool.bytes(), 3);
    });
}
