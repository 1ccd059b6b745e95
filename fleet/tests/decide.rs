//! What holds for every strategy, whatever is seen and whatever the clock does.

mod looks;

use plimsoll_fleet::decide::{Action, Alert, History, Observation, decide};
use plimsoll_fleet::profile::{Policy, Strategy};
use proptest::prelude::{any, prop, prop_assert, proptest};

use looks::{MIB, NOW_S, policy, seen, settle};

const STRATEGIES: [Strategy; 4] = [
    Strategy::Fixed,
    Strategy::Guide,
    Strategy::Vpa,
    Strategy::Floor,
];

#[test]
fn the_guide_grows_and_shrinks_as_its_table_says_and_then_cools_down() {
    let policy = policy(Strategy::Guide);
    // Used and limit in MiB, and what comes of it.
    let table = [
        (
            410,
            512,
            Action::Grow {
                to_bytes: 768 * MIB,
            },
        ),
        (409, 512, Action::Hold),
        (154, 512, Action::Hold),
        (
            150,
            512,
            Action::Shrink {
                to_bytes: 342 * MIB,
            },
        ),
        (
            900,
            1000,
            Action::Grow {
                to_bytes: 1024 * MIB,
            },
        ),
        (1, 80, Action::Shrink { to_bytes: 64 * MIB }),
        (1, 64, Action::Hold),
    ];
    for (used, limit, action) in table {
        let mut history = History::default();
        history.observe(&seen(NOW_S, used, limit), &policy);
        assert_eq!(
            decide(&history, &policy, NOW_S).action,
            action,
            "{used} of {limit}"
        );
        history.resized(NOW_S, limit * MIB);
        for (later_s, cooled) in [(299, false), (300, true)] {
            let mut history = history.clone();
            history.observe(&seen(NOW_S + later_s, used, limit), &policy);
            let later = decide(&history, &policy, NOW_S + later_s);
            let expected = if cooled { action } else { Action::Hold };
            assert_eq!(
                later.action, expected,
                "{used} of {limit}: {}",
                later.reason
            );
        }
    }
}

#[test]
fn what_could_be_freed_is_no_need_and_a_silent_service_is_believed_for_a_while() {
    let policy = policy(Strategy::Floor);
    let full = Observation {
        reclaimable_bytes: Some(400 * MIB),
        ..seen(NOW_S, 450, 512)
    };
    let mut history = History::default();
    let (limit_bytes, verdict) = settle(&mut history, &policy, full, 40);
    // Half a percent above what is used, and not further while nothing was freed.
    assert!((450 * MIB..460 * MIB).contains(&limit_bytes), "{verdict:?}");
    assert!(
        verdict
            .reason
            .contains("450 MiB used less 400 MiB it could free"),
        "{verdict:?}"
    );
    // Silent for less than five minutes.
    let silent = Observation {
        at_s: NOW_S + 1300,
        reclaimable_bytes: None,
        limit_bytes,
        ..full
    };
    history.observe(&silent, &policy);
    let verdict = decide(&history, &policy, silent.at_s);
    assert!(verdict.reason.contains("as of 130 s ago"), "{verdict:?}");
    assert_eq!(verdict.action, Action::Hold);
    // And for more: unknown is nothing.
    history.observe(
        &Observation {
            at_s: NOW_S + 1500,
            ..silent
        },
        &policy,
    );
    let verdict = decide(&history, &policy, NOW_S + 1500);
    assert!(
        verdict
            .reason
            .contains("nothing known of what it could free"),
        "{verdict:?}"
    );
    assert!(matches!(verdict.action, Action::Grow { .. }));
}

#[test]
fn what_was_learned_of_use_is_no_floor() {
    let policy = policy(Strategy::Floor);
    let mut history = History::default();
    let (limit_bytes, _) = settle(&mut history, &policy, seen(NOW_S, 450, 512), 60);
    // Now the service says what of that it could free, and then does so.
    let freed = Observation {
        at_s: NOW_S + 1800,
        used_bytes: 100 * MIB,
        reclaimable_bytes: Some(50 * MIB),
        limit_bytes,
    };
    let (limit_bytes, verdict) = settle(&mut history, &policy, freed, 600);
    assert!(limit_bytes < 128 * MIB, "{verdict:?}");
}

#[test]
fn an_absurd_look_teaches_nothing() {
    for strategy in STRATEGIES {
        let policy = policy(strategy);
        let mut history = History::default();
        let (limit_bytes, _) = settle(&mut history, &policy, seen(NOW_S, 100, 512), 60);
        let before = history.clone();
        for used_mib in [u64::MAX >> 20, 12 << 10] {
            let absurd = seen(NOW_S + 1800, used_mib, limit_bytes / MIB);
            history.observe(&absurd, &policy);
            assert_eq!(history, before, "{strategy:?}");
        }
    }
}

#[test]
fn the_reserve_for_what_never_happened_grows_with_caution_and_fades() {
    let needs_bytes = |caution, looks| {
        let policy = Policy {
            caution,
            ..policy(Strategy::Floor)
        };
        let mut history = History::default();
        settle(&mut history, &policy, seen(NOW_S, 100, 512), looks).0
    };
    // Six hours at rest, of a maximum of 1 GiB: 4 % of it, and three times as much with eight times the caution.
    let (bold, timid) = (needs_bytes(1.0, 720), needs_bytes(8.0, 720));
    assert!((130 * MIB..140 * MIB).contains(&bold), "{bold}");
    assert!((200 * MIB..212 * MIB).contains(&timid), "{timid}");
    assert!(needs_bytes(1.0, 2 * 2880) < 106 * MIB);
}

#[test]
fn nothing_is_decided_on_a_clock_that_jumped() {
    for strategy in [Strategy::Guide, Strategy::Floor, Strategy::Vpa] {
        let policy = policy(strategy);
        let mut history = History::default();
        let (limit_bytes, _) = settle(&mut history, &policy, seen(NOW_S, 100, 512), 60);
        let idle = |at_s| Observation {
            at_s,
            used_bytes: 10 * MIB,
            reclaimable_bytes: None,
            limit_bytes,
        };
        let last_s = NOW_S + 59 * 30;
        for now_s in [last_s - 1, 0, last_s + 601, u64::MAX] {
            assert_eq!(
                decide(&history, &policy, now_s).action,
                Action::Hold,
                "{now_s}"
            );
        }
        for jump_s in [0, 1, last_s + 10 * 365 * 86_400, u64::MAX] {
            let mut jumped = history.clone();
            jumped.resized(last_s, limit_bytes);
            jumped.observe(&idle(jump_s), &policy);
            let verdict = decide(&jumped, &policy, jump_s);
            assert_eq!(
                verdict.action,
                Action::Hold,
                "{strategy:?} {jump_s}: {}",
                verdict.reason
            );
        }
    }
}

#[test]
fn bounds_that_are_no_whole_pages_are_met_within_one() {
    const KIB: u64 = 1 << 10;
    // What the kernel makes of it: pages have 4 KiB, or 64.
    for page_bytes in [4 * KIB, 64 * KIB] {
        let in_force = |bytes: u64| bytes - bytes % page_bytes;
        for strategy in [Strategy::Guide, Strategy::Vpa, Strategy::Floor] {
            let policy = Policy {
                min_bytes: 256 * MIB + KIB,
                max_bytes: 512 * MIB + 63 * KIB,
                cooldown_s: 0,
                ..policy(strategy)
            };
            let mut history = History::default();
            let mut look = Observation {
                limit_bytes: in_force(policy.min_bytes),
                ..seen(NOW_S, 50, 0)
            };
            history.observe(&look, &policy);
            let verdict = decide(&history, &policy, NOW_S);
            assert_eq!(verdict.action, Action::Hold, "{strategy:?}: {verdict:?}");
            // A whole page less is too little.
            look.limit_bytes = policy.min_bytes - 64 * KIB;
            history.observe(&look, &policy);
            let to_bytes = policy.min_bytes;
            let verdict = decide(&history, &policy, NOW_S);
            assert_eq!(verdict.action, Action::Grow { to_bytes }, "{strategy:?}");

            look.limit_bytes = in_force(policy.max_bytes);
            history.observe(&look, &policy);
            history.killed(NOW_S, look.limit_bytes);
            let verdict = decide(&history, &policy, NOW_S);
            assert_eq!(verdict.action, Action::Hold, "{strategy:?}: {verdict:?}");
            assert_eq!(verdict.alert, Some(Alert::AtMaximum), "{strategy:?}");
            // What a kill asked for is in force.
            history.killed(NOW_S, 500 * MIB);
            history.resized(NOW_S, in_force(policy.max_bytes));
            assert!(!decide(&history, &policy, NOW_S).after_kill);
        }
    }
}

#[test]
fn a_policy_that_makes_no_sense_decides_nothing_and_says_why() {
    let fine = policy(Strategy::Floor);
    let table = [
        (
            Policy {
                min_bytes: 2048 * MIB,
                ..fine.clone()
            },
            "minimum of 2 GiB",
        ),
        (
            Policy {
                caution: f64::NAN,
                ..fine.clone()
            },
            "caution of NaN",
        ),
        (
            Policy {
                caution: -1.0,
                ..fine.clone()
            },
            "caution of -1",
        ),
        (
            Policy {
                factor: 1.0,
                ..policy(Strategy::Guide)
            },
            "factor of 1",
        ),
        (
            Policy {
                factor: f64::NAN,
                ..policy(Strategy::Guide)
            },
            "factor of NaN",
        ),
    ];
    for (policy, word) in table {
        let mut history = History::default();
        history.observe(&seen(NOW_S, 500, 512), &policy);
        let verdict = decide(&history, &policy, NOW_S);
        assert_eq!(verdict.action, Action::Hold);
        assert!(verdict.reason.contains(word), "{}", verdict.reason);
    }
    assert_eq!(
        decide(&History::default(), &fine, NOW_S).action,
        Action::Hold
    );
}

#[test]
fn a_history_is_small_and_survives_as_json() {
    for strategy in [Strategy::Floor, Strategy::Vpa] {
        let policy = policy(strategy);
        let mut history = History::default();
        for look in 0..500 {
            let used_mib = 100 + look * 37 % 300;
            let look = Observation {
                reclaimable_bytes: Some(MIB),
                ..seen(NOW_S + 30 * look, used_mib, 512)
            };
            history.observe(&look, &policy);
        }
        history.killed(NOW_S + 15_000, 512 * MIB);
        assert!(
            history.memory_bytes() < 2048,
            "{} bytes",
            history.memory_bytes()
        );
        let text = serde_json::to_string(&history).unwrap();
        let back: History = serde_json::from_str(&text).unwrap();
        assert_eq!(back, history);
    }
}

proptest! {
    #[test]
    fn whatever_is_seen_nothing_panics_and_limits_stay_where_they_may_be(
        strategy in prop::sample::select(STRATEGIES.to_vec()),
        looks in prop::collection::vec((any::<u64>(), 0u64..4000, any::<Option<u32>>(), 0u8..10), 1..60),
        steady in any::<bool>(),
    ) {
        let policy = policy(strategy);
        let mut history = History::default();
        let mut limit_bytes = 512 * MIB;
        let mut at_s = NOW_S;
        for (jump_s, used_mib, reclaimable, what) in looks {
            at_s = if steady { at_s + 30 } else { jump_s };
            let used_bytes = used_mib * MIB;
            let reclaimable_bytes = reclaimable.map(u64::from);
            history.observe(&Observation { at_s, used_bytes, reclaimable_bytes, limit_bytes }, &policy);
            if what == 0 {
                history.killed(at_s, limit_bytes);
            }
            let verdict = decide(&history, &policy, at_s);
            match verdict.action {
                Action::Hold => {}
                Action::Grow { to_bytes } => {
                    prop_assert!(to_bytes > limit_bytes && to_bytes <= policy.max_bytes);
                    history.resized(at_s, to_bytes);
                    limit_bytes = to_bytes;
                }
                Action::Shrink { to_bytes } => {
                    prop_assert!(to_bytes < limit_bytes && to_bytes >= policy.min_bytes);
                    prop_assert!(to_bytes > used_bytes, "{to_bytes} with {used_bytes} used");
                    history.resized(at_s, to_bytes);
                    limit_bytes = to_bytes;
                }
            }
            prop_assert!(!verdict.reason.is_empty());
        }
        prop_assert!(serde_json::to_string(&history).is_ok());
    }
}
