//! Kills: answered at once, and until the whole answer is in force.

mod looks;

use plimsoll_fleet::decide::{Action, Alert, History, Observation, Wanted, decide, share};
use plimsoll_fleet::profile::Strategy;

use looks::{MIB, NOW_S, policy, seen};

#[test]
fn a_kill_is_answered_at_once_whatever_the_cooldown_and_the_clock_say() {
    let table = [
        (Strategy::Guide, 256, 384),
        (Strategy::Floor, 256, 356),
        (Strategy::Vpa, 256, 410),
    ];
    for (strategy, limit, at_least) in table {
        let policy = policy(strategy);
        let mut history = History::default();
        history.observe(&seen(NOW_S, 200, limit), &policy);
        history.resized(NOW_S, limit * MIB);
        history.killed(NOW_S + 1, limit * MIB);
        for now_s in [NOW_S + 1, NOW_S + 90_000, 5] {
            let verdict = decide(&history, &policy, now_s);
            assert!(verdict.after_kill);
            let Action::Grow { to_bytes } = verdict.action else {
                panic!("{strategy:?}: {verdict:?}");
            };
            assert!(to_bytes >= at_least * MIB, "{strategy:?}: {verdict:?}");
        }
        // The answer is in force: it was one kill and is no reason for more.
        history.resized(NOW_S + 2, at_least * MIB);
        assert!(!decide(&history, &policy, NOW_S + 2).after_kill);
    }
    let mut history = History::default();
    history.observe(&seen(NOW_S, 200, 256), &policy(Strategy::Fixed));
    history.killed(NOW_S, 256 * MIB);
    assert_eq!(
        decide(&history, &policy(Strategy::Fixed), NOW_S).action,
        Action::Hold
    );
}

#[test]
fn a_kill_that_is_answered_in_part_keeps_its_precedence() {
    for (strategy, goal_mib) in [(Strategy::Guide, 768), (Strategy::Floor, 615)] {
        let policy = policy(strategy);
        let mut history = History::default();
        history.observe(&seen(NOW_S, 300, 512), &policy);
        history.killed(NOW_S + 1, 512 * MIB);
        // Room for 2 MiB, then for 50.
        let (mut limit_mib, mut now_s) = (512, NOW_S + 1);
        for room_mib in [2, 50] {
            let verdict = decide(&history, &policy, now_s);
            assert!(verdict.after_kill, "{strategy:?}: {verdict:?}");
            let mut wanted = [Wanted {
                service: "a",
                limit_bytes: limit_mib * MIB,
                priority: 0,
                verdict,
            }];
            share(&mut wanted, (limit_mib + room_mib) * MIB);
            limit_mib += room_mib;
            let [Wanted { verdict, .. }] = wanted;
            let to_bytes = limit_mib * MIB;
            assert_eq!(verdict.action, Action::Grow { to_bytes }, "{verdict:?}");
            assert_eq!(verdict.alert, Some(Alert::HostFull));
            now_s += 30;
            history.resized(now_s, to_bytes);
            history.observe(&seen(now_s, 300, limit_mib), &policy);
        }
        for (limit_mib, asks) in [(564, true), (goal_mib - 1, true), (goal_mib, false)] {
            history.resized(now_s, limit_mib * MIB);
            let verdict = decide(&history, &policy, now_s);
            assert_eq!(verdict.after_kill, asks, "{strategy:?}: {verdict:?}");
            if let (true, Action::Grow { to_bytes }) = (asks, verdict.action) {
                assert!(to_bytes >= goal_mib * MIB, "{strategy:?}: {verdict:?}");
            } else {
                assert!(!asks, "{strategy:?}: {verdict:?}");
            }
        }
        history.observe(&seen(NOW_S + 91, 300, goal_mib), &policy);
        // It was answered, whatever the limit is later.
        history.observe(&seen(NOW_S + 121, 300, 512), &policy);
        assert!(!decide(&history, &policy, NOW_S + 121).after_kill);
    }
}

#[test]
fn a_kill_asks_for_no_more_than_there_may_be_and_not_forever() {
    for strategy in [Strategy::Guide, Strategy::Vpa, Strategy::Floor] {
        let policy = policy(strategy);
        let mut history = History::default();
        history.observe(&seen(NOW_S, 300, 1000), &policy);
        history.killed(NOW_S + 1, 1000 * MIB);
        let verdict = decide(&history, &policy, NOW_S + 1);
        let to_bytes = policy.max_bytes;
        assert_eq!(verdict.action, Action::Grow { to_bytes }, "{verdict:?}");
        history.resized(NOW_S + 1, to_bytes);
        assert!(!decide(&history, &policy, NOW_S + 1).after_kill);
        // At its maximum nothing can be the answer.
        history.killed(NOW_S + 2, to_bytes);
        for later_s in (30..3700).step_by(30) {
            let (now_s, asks) = (NOW_S + 2 + later_s, later_s <= 3600);
            history.observe(&seen(now_s, 300, 1024), &policy);
            let verdict = decide(&history, &policy, now_s);
            assert_eq!(verdict.after_kill, asks, "{later_s}: {verdict:?}");
            assert!(!asks || verdict.alert == Some(Alert::AtMaximum));
        }
    }
}

#[test]
fn a_leak_is_grown_to_its_maximum_and_a_person_is_told() {
    for strategy in [Strategy::Guide, Strategy::Floor] {
        let policy = policy(strategy);
        let mut history = History::default();
        let mut limit_bytes = 256 * MIB;
        for look in 0..400 {
            let used_bytes = (100 * MIB + look * 4 * MIB).min(limit_bytes);
            let at_s = NOW_S + 30 * look;
            let look = Observation {
                at_s,
                used_bytes,
                reclaimable_bytes: None,
                limit_bytes,
            };
            history.observe(&look, &policy);
            if used_bytes == limit_bytes {
                history.killed(at_s, limit_bytes);
            }
            if let Action::Grow { to_bytes } = decide(&history, &policy, at_s).action {
                history.resized(at_s, to_bytes);
                limit_bytes = to_bytes;
            }
        }
        assert_eq!(limit_bytes, policy.max_bytes, "{strategy:?}");
        let verdict = decide(&history, &policy, NOW_S + 30 * 399);
        assert_eq!(verdict.alert, Some(Alert::AtMaximum), "{verdict:?}");
        assert!(verdict.reason.contains("1 GiB"), "{}", verdict.reason);
    }
}
