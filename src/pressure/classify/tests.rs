use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Classifier, DWELL, Lines};
use crate::pressure::PressureCause::{Forecast, LimitUnknown, Stalled, Used};
use crate::pressure::PressureLevel::{self, Critical, Elevated, High, Normal};
use crate::usage::{Bound, LimitSource};

const LINES: Lines = Lines {
    elevated_percent: 70.0,
    high_percent: 80.0,
    critical_percent: 90.0,
};
const TICK: Duration = Duration::from_millis(100);

/// A classifier under a limit of 1000 bytes with a clock of its own.
struct Bench {
    classifier: Classifier,
    now: Instant,
    limit_bytes: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with_burst(0.0)
    }

    fn with_burst(byte_seconds: f64) -> Self {
        let now = Instant::now();
        Bench {
            classifier: Classifier::new(LINES, byte_seconds, Normal, now),
            now,
            limit_bytes: 1000,
        }
    }

    fn observe(&mut self, used_bytes: u64, stalled: bool) -> PressureLevel {
        self.now += TICK;
        let bound = Bound {
            limit_bytes: self.limit_bytes,
            used_bytes,
            source: LimitSource::Builder,
        };
        let before = self.classifier.level();
        let change = self.classifier.observe(self.now, Some(bound), stalled);
        let after = self.classifier.level();
        // A change is told when there is one, and only then.
        match change {
            Some(change) => assert!(change.from == before && change.to == after && before != after),
            None => assert_eq!(before, after),
        }
        after
    }

    fn used(&mut self, used_bytes: u64) -> PressureLevel {
        self.observe(used_bytes, false)
    }

    /// Observes the same for `time`; the level after it.
    fn stays(&mut self, used_bytes: u64, time: Duration) -> PressureLevel {
        for _ in 0..time.as_millis() / TICK.as_millis() {
            self.used(used_bytes);
        }
        self.classifier.level()
    }
}

#[test]
fn each_level_rises_at_once_and_falls_below_its_end_after_a_while() {
    let table = [
        (Elevated, 701, 657, 656),
        (High, 801, 751, 750),
        (Critical, 901, 844, 843),
    ];
    for (level, above, just_above_its_end, below_its_end) in table {
        let mut bench = Bench::new();
        assert_eq!(bench.used(above), level, "at once");
        // Flapping around the line, and for ever just above the end: it holds.
        for used in [above, above - 2].repeat(50) {
            assert_eq!(bench.used(used), level);
        }
        let minute = Duration::from_secs(60);
        assert_eq!(bench.stays(just_above_its_end, minute), level);
        let dwell = bench.classifier.dwell();
        assert_eq!(bench.used(below_its_end), level);
        let falls_at = bench.now + dwell;
        assert_eq!(bench.classifier.falls_at(), Some(falls_at));
        bench.now = falls_at - TICK - TICK / 100;
        assert_eq!(bench.used(below_its_end), level);
        assert_eq!(bench.used(above), level, "that ends the fall");
        assert_eq!(bench.classifier.falls_at(), None);
        assert_eq!(bench.used(below_its_end), level);
        bench.now = bench.now + dwell - TICK;
        assert!(bench.used(below_its_end) < level);
    }
}

#[test]
fn a_fall_ends_at_the_highest_level_that_was_asked_for_meanwhile() {
    let mut bench = Bench::new();
    bench.used(950);
    for used in [100, 790, 100] {
        bench.now -= TICK - TICK / 250;
        assert_eq!(bench.used(used), Critical);
    }
    assert_eq!(
        bench.used(100),
        High,
        "790 is within the hysteresis of High"
    );
    assert_eq!(bench.stays(100, DWELL + TICK), Normal);
}

#[test]
fn from_critical_to_normal_is_one_step() {
    let mut bench = Bench::new();
    bench.used(950);
    bench.used(100);
    assert_eq!(bench.used(100), Normal);
}

#[test]
fn a_stall_raises_to_elevated_and_no_further() {
    let mut bench = Bench::new();
    assert_eq!(bench.observe(100, true), Elevated);
    assert_eq!(bench.observe(100, true), Elevated);
    assert_eq!(bench.stays(100, DWELL + TICK), Normal);
    assert_eq!(bench.observe(850, true), High, "usage says more");
    let change = {
        let mut bench = Bench::new();
        bench.now += TICK;
        bench.classifier.observe(bench.now, None, true).unwrap()
    };
    assert_eq!((change.to, change.cause), (Elevated, Stalled));
}

#[test]
fn steady_growth_towards_the_limit_raises_early_but_not_near_nothing() {
    let mut bench = Bench::new();
    let mut raised_at = None;
    for used in (0..700).step_by(10) {
        if bench.used(used) == Elevated {
            raised_at.get_or_insert(used);
        }
    }
    // 100 bytes a second: the last 500 take 5 s.
    assert_eq!(raised_at, Some(500));
    let mut bench = Bench::new();
    let fast = [0, 100, 200, 300];
    assert!(fast.map(|used| bench.used(used)) == [Normal; 4]);
    bench.used(345);
    assert_eq!(bench.used(349), Normal, "in the lower half");
    assert_eq!(bench.used(360), Elevated);
    assert_eq!(
        bench.stays(360, Duration::from_secs(3)),
        Normal,
        "it stopped"
    );
}

#[test]
fn the_forecast_starts_anew_with_a_new_limit() {
    let mut bench = Bench::new();
    for used in (350..500).step_by(10) {
        bench.used(used);
    }
    assert!(bench.classifier.time_to_limit().is_some());
    bench.limit_bytes = 100_000;
    bench.used(510);
    assert_eq!(bench.classifier.time_to_limit(), None);
}

#[test]
fn a_burst_within_its_budget_raises_nothing_and_critical_is_no_burst() {
    // 50 bytes above the line for a second.
    let mut bench = Bench::with_burst(50.0);
    assert_eq!(bench.stays(750, TICK * 9), Normal);
    assert_eq!(bench.stays(750, TICK * 2), Elevated);
    let mut bench = Bench::with_burst(1e9);
    assert_eq!(bench.used(850), Normal);
    assert_eq!(bench.used(901), Critical);
}

#[test]
fn an_unknown_limit_lets_go_after_a_while_and_says_why() {
    let mut bench = Bench::new();
    bench.used(950);
    let mut changes = Vec::new();
    for _ in 0..20 {
        bench.now += TICK;
        changes.extend(bench.classifier.observe(bench.now, None, false));
    }
    assert_eq!(changes.len(), 1);
    let change = changes[0];
    assert_eq!((change.from, change.to), (Critical, Normal));
    assert_eq!((change.cause, change.bound), (LimitUnknown, None));
}

#[test]
fn a_limit_below_what_is_used_is_critical_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.used(500), Normal);
    bench.limit_bytes = 250;
    assert_eq!(bench.used(500), Critical);
}

#[test]
fn a_clock_that_jumps_moves_no_level_by_itself() {
    let mut bench = Bench::new();
    bench.used(950);
    bench.now += Duration::from_secs(86_400);
    assert_eq!(bench.used(950), Critical);
    // Into the past: the fall waits for as long as it takes, and nothing panics.
    assert_eq!(bench.used(100), Critical);
    bench.now -= Duration::from_secs(3600);
    assert_eq!(bench.used(100), Critical);
    bench.now += Duration::from_secs(3601);
    assert_eq!(bench.used(100), Normal);
}

#[test]
fn causes_are_told() {
    let mut bench = Bench::new();
    for used in (350..500).step_by(10) {
        bench.used(used);
    }
    let bound = |used_bytes| Bound {
        limit_bytes: 1000,
        used_bytes,
        source: LimitSource::Builder,
    };
    let now = bench.now + TICK;
    let change = bench.classifier.observe(now, Some(bound(510)), false);
    assert_eq!(change.unwrap().cause, Forecast);
    let change = bench.classifier.observe(now + TICK, Some(bound(810)), true);
    assert_eq!(change.unwrap().cause, Used);
}

proptest! {
    /// Whatever happens, the level is never below what usage asks for, nor above what the last second asked for.
    #[test]
    fn the_level_lies_between_now_and_the_last_second(
        steps in proptest::collection::vec((0u64..1200, any::<bool>()), 1..200),
    ) {
        let mut bench = Bench::new();
        let mut recent = Vec::new();
        for (used, stalled) in steps {
            let level = bench.observe(used, stalled);
            let percent = used as f64 / 10.0;
            prop_assert!(level >= LINES.level(percent));
            recent.push(LINES.level_that_holds(percent));
            let last_second = &recent[recent.len().saturating_sub(11)..];
            let highest = last_second.iter().copied().max().unwrap();
            prop_assert!(level <= highest.max(Elevated));
        }
    }
}
