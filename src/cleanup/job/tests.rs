//! The job by table: which hook is asked for how much, and when no more is needed.

use super::*;
use crate::cleanup::Unused;
use crate::cleanup::{CleanupFn, CleanupReason, CleanupRegistration, Registry};
use crate::usage::fake::usage;

const DEADLINE: Duration = Duration::from_secs(4);
const MS: Duration = Duration::from_millis(1);

/// What the call of a hook does.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Claims the first, frees the second, allocates the third.
    Returns(u64, u64, u64),
    /// Claims it, where nothing is measured.
    Unmeasured(u64),
    /// Frees it, and panics then.
    Panics(u64),
    Hangs,
}
use Does::{Hangs, Panics, Returns, Unmeasured};

fn called(name: &str, does: Does) -> Called {
    let (outcome, claimed, counts) = match does {
        Returns(claimed, freed, allocated) => (
            HookOutcome::Completed,
            Some(claimed),
            Some((freed, allocated)),
        ),
        Unmeasured(claimed) => (HookOutcome::Completed, Some(claimed), None),
        Panics(freed) => (HookOutcome::Panicked("no".into()), None, Some((freed, 0))),
        Hangs => unreachable!("it does not return"),
    };
    Called {
        report: HookReport {
            claimed_bytes: claimed,
            freed_bytes: counts.map(|counts| counts.0),
            allocated_bytes: counts.map(|counts| counts.1),
            ..HookReport::without_result(name, outcome, MS)
        },
        duration: MS,
        cost: MS,
    }
}

/// A registry with this many hooks, called 0, 1, ..
fn registry(hooks: usize) -> (Arc<Registry>, Vec<CleanupRegistration>) {
    let registry = Arc::new(Registry::new());
    let register =
        |number: usize| registry.register(Box::new(CleanupFn::new(number.to_string(), |_| ())));
    let registrations = (0..hooks).map(register).collect();
    (registry, registrations)
}

fn job(target_bytes: u64, hooks: Vec<Arc<Entry>>, now: Instant) -> Job {
    let order = Order {
        reason: CleanupReason::AbovePercent,
        call_hooks: true,
        purge: Unused::All,
    };
    Job::new(order, usage(0, None), target_bytes, hooks, now, DEADLINE)
}

/// Runs a job to its purge: how much each hook that was called was asked for, and the job.
fn play(target_bytes: u64, hooks: &[Does]) -> (Vec<u64>, Job) {
    let (registry, _registrations) = registry(hooks.len());
    let mut now = Instant::now();
    let mut job = job(target_bytes, registry.in_order(), now);
    let mut asked = Vec::new();
    while let Step::Hook(entry, request) = job.next_step(now, true) {
        asked.push(request.target_bytes);
        match hooks[entry.name.parse::<usize>().unwrap()] {
            Hangs => {
                now = job.next_deadline().unwrap();
                assert!(job.give_up_late(now, || 7 * MS));
            }
            does => job.returned(called(&entry.name, does)),
        }
    }
    (asked, job)
}

#[test]
fn each_hook_is_asked_for_what_remains_by_measurement() {
    const ALL: u64 = u64::MAX;
    let table: &[(u64, &[Does], &[u64])] = &[
        (
            100,
            &[Returns(60, 60, 0), Returns(50, 50, 0), Returns(9, 9, 0)],
            &[100, 40],
        ),
        (100, &[Returns(100, 100, 0), Returns(9, 9, 0)], &[100]),
        (100, &[Returns(99, 99, 0), Returns(9, 9, 0)], &[100, 1]),
        // One that frees nothing and claims everything stops nobody.
        (
            100,
            &[Returns(ALL, 0, 0), Returns(0, 30, 0), Returns(9, 9, 0)],
            &[100, 100, 70],
        ),
        // A modest one counts for what it did.
        (100, &[Returns(0, 100, 0), Returns(9, 9, 0)], &[100]),
        // What it allocates comes off what it frees; one that grows makes the others give no more.
        (100, &[Returns(90, 90, 50), Returns(9, 9, 0)], &[100, 60]),
        (100, &[Returns(90, 10, 5000), Returns(9, 9, 0)], &[100, 100]),
        // Nothing measured, so nothing taken off.
        (100, &[Unmeasured(100), Unmeasured(100)], &[100, 100]),
        // What was freed before a panic is free; what one freed that hangs is not known.
        (100, &[Panics(100), Returns(9, 9, 0)], &[100]),
        (
            100,
            &[Hangs, Returns(100, 100, 0), Returns(9, 9, 0)],
            &[100, 100],
        ),
        // A forced one asks all of them, for all.
        (ALL, &[Returns(0, 500, 0), Returns(9, 9, 0)], &[ALL, ALL]),
        // Fallen below the line since.
        (0, &[Returns(9, 9, 0)], &[]),
    ];
    for (target, hooks, expected) in table {
        let (asked, job) = play(*target, hooks);
        assert_eq!(asked, *expected, "{target} {hooks:?}");
        assert_eq!(job.reports.len(), hooks.len(), "{target} {hooks:?}");
        for (number, report) in job.reports.iter().enumerate() {
            let spared = report.outcome == HookOutcome::NotNeeded;
            assert_eq!(spared, number >= asked.len(), "{target} {hooks:?}");
        }
    }
}

#[test]
fn the_target_is_kept_for_the_report_unless_it_is_all() {
    assert_eq!(
        play(100, &[Returns(60, 60, 0)]).1.finite_target_bytes(),
        Some(100)
    );
    assert_eq!(play(u64::MAX, &[]).1.finite_target_bytes(), None);
}

#[test]
fn what_each_call_took_is_summed_up_also_of_one_that_is_left_behind() {
    let (_, job) = play(100, &[Returns(1, 1, 0), Hangs, Panics(0)]);
    assert_eq!(job.cost, MS + 7 * MS + MS);
}

#[test]
fn hooks_that_fail_move_behind_those_that_yield() {
    let (registry, _registrations) = registry(4);
    let does = [Panics(1000), Returns(0, 1, 0), Hangs, Returns(0, 5, 0)];
    let names = || -> Vec<String> {
        registry
            .in_order()
            .iter()
            .map(|entry| entry.name.clone())
            .collect()
    };
    let mut now = Instant::now();
    let mut job = job(u64::MAX, registry.in_order(), now);
    assert_eq!(names(), ["0", "1", "2", "3"]);
    while let Step::Hook(entry, _) = job.next_step(now, true) {
        match does[entry.name.parse::<usize>().unwrap()] {
            Hangs => {
                now = job.next_deadline().unwrap();
                assert!(job.give_up_late(now, || MS));
            }
            does => job.returned(called(&entry.name, does)),
        }
    }
    assert_eq!(names(), ["3", "1", "0", "2"]);
}

#[test]
fn where_nothing_is_measured_nothing_is_learned() {
    let (registry, _registrations) = registry(2);
    let mut job = job(100, registry.in_order(), Instant::now());
    while let Step::Hook(entry, _) = job.next_step(Instant::now(), true) {
        let claimed = if entry.name == "1" { 1 << 40 } else { 0 };
        job.returned(called(&entry.name, Unmeasured(claimed)));
    }
    let names: Vec<_> = registry.in_order().iter().map(|e| e.name.clone()).collect();
    assert_eq!(names, ["0", "1"]);
}

#[test]
fn a_hook_that_is_spared_is_not_late_nor_running() {
    let (registry, _registrations) = registry(2);
    let mut job = job(0, registry.in_order(), Instant::now());
    assert!(matches!(job.next_step(Instant::now(), true), Step::Purge));
    assert_eq!(job.next_deadline(), None);
    assert!(registry.entries().iter().all(|entry| entry.begin_call()));
}
