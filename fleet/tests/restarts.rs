//! A new process, a silence, a clock that steps back: what was learned is kept, and nothing is learned that is not so.

use plimsoll_fleet::decide::{Action, History, Observation, decide};
use plimsoll_fleet::profile::Policy;

const MIB: u64 = 1 << 20;

fn policy() -> Policy {
    Policy::between(64 * MIB, 4096 * MIB)
}

/// A service that is looked at every half minute, and resized as decided.
struct Watched {
    history: History,
    at_s: u64,
    limit_mib: u64,
    most_mib: u64,
}

impl Watched {
    fn new(limit_mib: u64) -> Watched {
        Watched {
            history: History::default(),
            at_s: 1_700_000_000,
            limit_mib,
            most_mib: limit_mib,
        }
    }

    fn look(&mut self, used_mib: u64, reclaimable_mib: Option<u64>) {
        self.at_s += 30;
        let limit_bytes = self.limit_mib * MIB;
        let seen = Observation {
            at_s: self.at_s,
            used_bytes: used_mib * MIB,
            reclaimable_bytes: reclaimable_mib.map(|mib| mib * MIB),
            limit_bytes,
        };
        self.history.observe(&seen, &policy());
        let verdict = decide(&self.history, &policy(), self.at_s);
        if let Action::Grow { to_bytes } | Action::Shrink { to_bytes } = verdict.action {
            self.history.resized(self.at_s, to_bytes);
            self.limit_mib = to_bytes / MIB;
            self.most_mib = self.most_mib.max(self.limit_mib);
        }
    }

    fn looks(&mut self, count: u64, used_mib: u64, reclaimable_mib: Option<u64>) {
        for _ in 0..count {
            self.look(used_mib, reclaimable_mib);
        }
    }
}

#[test]
fn the_climb_of_a_new_process_is_no_rise() {
    let restarts: [&[u64]; 3] = [&[60, 1200], &[60, 400, 900, 1200], &[60, 1150, 1210]];
    for climb in restarts {
        let mut watched = Watched::new(1500);
        watched.looks(3000, 1200, None);
        watched.most_mib = watched.limit_mib;
        watched.history.restarted(watched.at_s);
        for used_mib in climb {
            watched.look(*used_mib, None);
        }
        watched.looks(200, 1200, None);
        assert!(watched.most_mib < 1400, "{climb:?}: {}", watched.most_mib);
    }
}

#[test]
fn what_rises_after_the_climb_counts() {
    // Past the old peak, where a limit is that and 1.8 rises; and when a new process had its time, where to double is more of a warning.
    // Without the rise the first would get 1290, the second 1210.
    let after: [(u64, u64, u64); 2] = [(1, 1201, 1360), (25, 60, 1400)];
    for (looks, used_mib, least_mib) in after {
        let mut watched = Watched::new(1500);
        watched.looks(3000, 1200, None);
        watched.history.restarted(watched.at_s);
        watched.look(60, None);
        watched.looks(looks, used_mib, None);
        watched.look(used_mib, None);
        watched.look(used_mib + 60, None);
        assert!(watched.limit_mib > least_mib, "{}", watched.limit_mib);
    }
}

#[test]
fn a_silence_makes_it_forget_nothing() {
    let policy = policy();
    let reason = |watched: &Watched| decide(&watched.history, &policy, watched.at_s).reason;
    // Long enough for the claim to lapse; and a gap in which nobody looked.
    for (believed_looks, silent_looks, gap_s) in [(10, 5, 0), (0, 0, 700), (0, 1, 700)] {
        let mut watched = Watched::new(2000);
        watched.looks(1000, 600, Some(100));
        // The highest floor, once.
        watched.look(1000, Some(100));
        watched.looks(10, 600, Some(100));
        let before = reason(&watched);
        let of_the_peak =
            |reason: &str| reason.contains("needs 900 MiB") || reason.contains("needs 899.");
        assert!(of_the_peak(&before), "{before}");
        watched.at_s += gap_s;
        watched.looks(believed_looks, 600, None);
        watched.looks(silent_looks, 1500, None);
        watched.looks(2, 600, Some(100));
        let after = reason(&watched);
        assert!(of_the_peak(&after), "{after}");
    }
    // What was learned before the first claim is use, and is forgotten.
    let mut watched = Watched::new(2000);
    watched.looks(10, 1500, None);
    watched.looks(2, 1500, Some(1400));
    let after = reason(&watched);
    assert!(after.contains("needs 100 MiB"), "{after}");
}

#[test]
fn a_kill_while_it_is_silent_is_remembered() {
    let mut watched = Watched::new(1000);
    watched.looks(100, 600, Some(100));
    watched.looks(15, 600, None);
    watched.history.killed(watched.at_s, 1000 * MIB);
    watched.history.resized(watched.at_s, 1200 * MIB);
    watched.limit_mib = 1200;
    watched.looks(2, 600, Some(100));
    let reason = decide(&watched.history, &policy(), watched.at_s).reason;
    assert!(reason.contains("needs 999."), "{reason}");
}

#[test]
fn a_kill_before_it_said_what_it_could_free_is_remembered() {
    // At once, and half of it a week later, as of every peak.
    for (looks, needs) in [(0, "needs 399."), (7 * 2880, "needs 199.")] {
        let mut watched = Watched::new(400);
        watched.looks(2, 120, None);
        watched.history.killed(watched.at_s, 400 * MIB);
        watched.history.resized(watched.at_s, 600 * MIB);
        watched.limit_mib = 600;
        watched.looks(looks, 120, None);
        watched.looks(2, 120, Some(20));
        let reason = decide(&watched.history, &policy(), watched.at_s).reason;
        assert!(reason.contains(needs), "{reason}");
    }
}

#[test]
fn nothing_shrinks_before_it_was_watched() {
    // For a minute; for the cooldown if it has a cache.
    for (claim_mib, looks) in [(None, 2), (Some(100), 10)] {
        let mut watched = Watched::new(1500);
        watched.looks(looks, 200, claim_mib);
        assert_eq!(watched.limit_mib, 1500, "{claim_mib:?}");
        let reason = decide(&watched.history, &policy(), watched.at_s).reason;
        assert!(reason.contains("after 30 s more of cooldown"), "{reason}");
        watched.look(200, claim_mib);
        assert_eq!(watched.limit_mib, 750, "{claim_mib:?}");
    }
    // What grows does not wait.
    let mut watched = Watched::new(300);
    watched.look(290, None);
    assert!(watched.limit_mib > 300);
}

#[test]
fn a_replica_goes_on_from_what_its_service_has_shown() {
    let mut watched = Watched::new(1500);
    watched.looks(3000, 1200, None);
    let limit_mib = watched.limit_mib;
    watched.history.killed(watched.at_s, limit_mib * MIB);
    let mut replica = Watched {
        history: watched.history.of_replica(watched.at_s),
        ..watched
    };
    // Not itself was killed, and its climb is no rise.
    replica.most_mib = 0;
    replica.looks(1, 60, None);
    replica.looks(2, 1200, None);
    assert!(replica.most_mib < 1300, "{}", replica.most_mib);
    replica.looks(200, 60, None);
    assert!(replica.limit_mib > 1200, "{}", replica.limit_mib);
}

#[test]
fn a_clock_that_steps_back_is_survived() {
    let mut history = History::default();
    let seen = |at_s| Observation {
        at_s,
        used_bytes: 90 * MIB,
        reclaimable_bytes: Some(MIB),
        limit_bytes: 100 * MIB,
    };
    history.observe(&seen(1000), &policy());
    history.killed(1010, 100 * MIB);
    history.restarted(1012);
    history.observe(&seen(1005), &policy());
    let verdict = decide(&history, &policy(), 1005);
    assert!(verdict.after_kill, "{verdict:?}");
}
