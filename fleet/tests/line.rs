//! The High line of a service with the library: above that part of its limit it refuses work.

mod looks;

use plimsoll_fleet::decide::{Action, Alert, History, Observation, decide};
use plimsoll_fleet::profile::Strategy;

use looks::{MIB, NOW_S, policy, seen, settle_below};

#[test]
fn what_is_needed_fits_below_the_line_above_which_work_is_refused() {
    let policy = policy(Strategy::Floor);
    let known = Observation {
        reclaimable_bytes: Some(0),
        ..seen(NOW_S, 300, 400)
    };
    let limit_bytes = |ratio: f64| {
        let mut history = History::default();
        // Known for days: what is left of the margin is below the hundredth part.
        settle_below(&mut history, Some(ratio), &policy, known, 10_000)
    };
    let (all_bytes, verdict) = limit_bytes(1.0);
    assert!(all_bytes < 310 * MIB, "{verdict:?}");
    let (bytes, verdict) = limit_bytes(0.8);
    assert!((376 * MIB..387 * MIB).contains(&bytes), "{verdict:?}");
    assert!(
        verdict.reason.contains("of it below 80 % of its limit"),
        "{verdict:?}"
    );
    // Nonsense is nothing.
    for ratio in [0.0, -1.0, 0.001, 0.29, 1.01, f64::NAN] {
        assert_eq!(limit_bytes(ratio).0, all_bytes, "{ratio}");
    }
    // It refuses already, and can have no more.
    let full = Observation {
        limit_bytes: policy.max_bytes,
        ..seen(NOW_S, 830, 1024)
    };
    for (ratio, alert) in [(1.0, None), (0.8, Some(Alert::AtMaximum))] {
        let mut history = History::default();
        history.refuses_above(NOW_S, ratio);
        history.observe(&full, &policy);
        assert_eq!(decide(&history, &policy, NOW_S).alert, alert, "{ratio}");
    }
}

#[test]
fn a_cache_that_is_full_to_the_line_is_no_reason_to_keep_the_limit() {
    // Who carries it out asks for a cleanup first, and leaves what is used then below the line.
    let full = Observation {
        reclaimable_bytes: Some(150 * MIB),
        ..seen(NOW_S, 200, 240)
    };
    let mut history = History::default();
    let (limit_bytes, verdict) =
        settle_below(&mut history, Some(0.8), &policy(Strategy::Floor), full, 200);
    assert!(limit_bytes <= 203 * MIB, "{verdict:?}");
}

#[test]
fn a_line_is_believed_for_five_minutes_of_silence() {
    let policy = policy(Strategy::Floor);
    let needs_bytes = |history: &History, at_s| match decide(history, &policy, at_s).action {
        Action::Grow { to_bytes } => to_bytes,
        other => panic!("{other:?}"),
    };
    let known = |at_s| Observation {
        reclaimable_bytes: Some(0),
        ..seen(at_s, 300, 305)
    };
    let mut history = History::default();
    // All without a resize, so that it always asks for what it needs.
    for look in 0..10_000 {
        history.refuses_above(NOW_S + 30 * look, 0.5);
        history.observe(&known(NOW_S + 30 * look), &policy);
    }
    let last_s = NOW_S + 30 * 9_999;
    let told = history.clone();
    for later in 1..=10 {
        let at_s = last_s + 30 * later;
        history.observe(&known(at_s), &policy);
        assert!(needs_bytes(&history, at_s) > 600 * MIB, "{later}");
    }
    history.observe(&known(last_s + 330), &policy);
    let verdict = decide(&history, &policy, last_s + 330);
    assert_eq!(verdict.action, Action::Hold, "{verdict:?}");
    // Of before a gap nothing is believed, nor of a time to come.
    for at_s in [last_s + 601, last_s - 301] {
        let mut jumped = told.clone();
        jumped.observe(&known(at_s), &policy);
        let verdict = decide(&jumped, &policy, at_s);
        assert_eq!(verdict.action, Action::Hold, "{verdict:?}");
    }
    // Told anew it counts at once, also after a gap.
    let mut jumped = told.clone();
    jumped.refuses_above(last_s + 601, 0.5);
    jumped.observe(&known(last_s + 601), &policy);
    assert!(needs_bytes(&jumped, last_s + 601) > 600 * MIB);

    // A state file is as good as who wrote it.
    let text = serde_json::to_string(&told).unwrap();
    assert!(text.contains(r#""ratio":0.5"#), "{text}");
    let lie = text.replace(r#""ratio":0.5"#, r#""ratio":0.001"#);
    let loaded: History = serde_json::from_str(&lie).unwrap();
    let verdict = decide(&loaded, &policy, last_s);
    assert_eq!(verdict.action, Action::Hold, "{verdict:?}");
}
