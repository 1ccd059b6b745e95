//! The stack against hand-made nets: what counts, what is latched, and every way to leave out of order.

use super::*;
use crate::scope::{MemoryLimit, OnExceed};

static A: Site = Site::new("a");
static B: Site = Site::new("b");
static C: Site = Site::new("c");

const LIMIT: MemoryLimit = MemoryLimit::bytes(100);

fn erring(bytes: u64) -> MemoryLimit {
    MemoryLimit::bytes(bytes).on_exceed(OnExceed::Error)
}

fn terms(limit: &MemoryLimit) -> Terms {
    Terms::of(limit, OnExceed::Warn)
}

fn leave(stack: &FrameStack, ticket: Ticket, net_bytes: i64) -> Option<Verdict> {
    stack.leave(ticket, net_bytes).map(|left| left.verdict)
}

fn verdict(used_bytes: i64, peak_bytes: i64, exceeded: bool) -> Option<Verdict> {
    Some(Verdict {
        used_bytes,
        peak_bytes,
        exceeded,
    })
}

#[test]
fn the_verdict_is_latched_at_the_first_crossing() {
    let stack = FrameStack::new();
    let ticket = stack.enter(&A, terms(&LIMIT), 1000);
    assert_eq!(stack.judge(ticket, 1100), verdict(100, 100, false));
    assert_eq!(stack.judge(ticket, 1101), verdict(101, 101, true));
    assert_eq!(stack.judge(ticket, 1050), verdict(50, 101, true));
    assert_eq!(leave(&stack, ticket, 900), verdict(-100, 101, true));
    assert!(stack.is_empty());
}

#[test]
fn a_scope_that_frees_more_than_it_allocates_never_exceeds() {
    let stack = FrameStack::new();
    let ticket = stack.enter(&A, terms(&MemoryLimit::bytes(0)), 0);
    assert_eq!(leave(&stack, ticket, -5000), verdict(-5000, 0, false));
}

#[test]
fn a_limit_of_zero_is_passed_by_the_first_byte() {
    let stack = FrameStack::new();
    let ticket = stack.enter(&A, terms(&MemoryLimit::bytes(0)), 7);
    assert_eq!(stack.judge(ticket, 7), verdict(0, 0, false));
    assert_eq!(leave(&stack, ticket, 8), verdict(1, 1, true));
}

#[test]
fn an_inner_scope_within_its_limit_does_not_hide_an_exceeded_outer_one() {
    let stack = FrameStack::new();
    let outer = stack.enter(&A, terms(&erring(100)), 0);
    let inner = stack.enter(&B, terms(&erring(1000)), 90);
    let (site, terms, found) = stack.judge_all(150).unwrap();
    assert!(std::ptr::eq(site, &A));
    assert_eq!((terms.limit_bytes, found.used_bytes), (100, 150));
    assert_eq!(leave(&stack, inner, 150), verdict(60, 60, false));
    assert_eq!(leave(&stack, outer, 20), verdict(20, 150, true));
}

#[test]
fn a_scope_that_only_warns_never_fails_a_checkpoint() {
    let stack = FrameStack::new();
    let _warns = stack.enter(&A, terms(&LIMIT), 0);
    assert!(stack.judge_all(500).is_none());
    let _errs = stack.enter(&B, terms(&erring(10)), 500);
    assert!(std::ptr::eq(stack.judge_all(511).unwrap().0, &B));
}

#[test]
fn recursion_joins_the_frame_and_another_limit_does_not() {
    let stack = FrameStack::new();
    let first = stack.enter(&A, terms(&LIMIT), 0);
    for _ in 0..10_000 {
        assert_eq!(stack.enter(&A, terms(&LIMIT), 50), first);
    }
    let between = stack.enter(&B, terms(&LIMIT), 50);
    assert_eq!(stack.enter(&A, terms(&LIMIT), 50), first);
    for other in [
        MemoryLimit::bytes(10),
        MemoryLimit::bytes(1000),
        erring(100),
        LIMIT.cleanup_on_exceed(false),
    ] {
        let own = stack.enter(&A, terms(&other), 50);
        assert_ne!(own, first);
        assert_eq!(leave(&stack, own, 61), verdict(11, 11, other.bytes < 11));
    }
    assert_eq!(leave(&stack, first, 61), verdict(61, 61, false));
    assert_eq!(leave(&stack, between, 61), verdict(11, 11, false));
    for _ in 0..10_000 {
        leave(&stack, first, 61);
    }
    assert!(!stack.is_empty());
    assert_eq!(leave(&stack, first, 30), verdict(30, 61, false));
    assert!(stack.is_empty());
}

#[test]
fn a_frame_below_the_top_is_closed_and_popped_later() {
    let stack = FrameStack::new();
    let lowest = stack.enter(&A, terms(&LIMIT), 0);
    let middle = stack.enter(&B, terms(&LIMIT), 0);
    let top = stack.enter(&C, terms(&LIMIT), 0);
    assert_eq!(leave(&stack, middle, 10), verdict(10, 10, false));
    assert_eq!(leave(&stack, middle, 10), None);
    assert_eq!(stack.depth.get(), 3);
    assert_eq!(leave(&stack, top, 20), verdict(20, 20, false));
    assert_eq!(stack.depth.get(), 1);
    assert_eq!(leave(&stack, lowest, 20), verdict(20, 20, false));
    assert!(stack.is_empty());
}

#[test]
fn the_lowest_takes_leaked_ones_along() {
    let stack = FrameStack::new();
    let lowest = stack.enter(&A, terms(&LIMIT), 0);
    let _leaked = stack.enter(&B, terms(&erring(1)), 0);
    assert!(leave(&stack, lowest, 5).is_some());
    assert!(stack.is_empty() && stack.judge_all(500).is_none());
}

#[test]
fn a_guard_that_outlives_the_lowest_keeps_its_verdict_until_its_place_is_needed() {
    static SITE: Site = Site::new("orphan");
    let stack = FrameStack::new();
    let lowest = stack.enter(&A, terms(&LIMIT), 0);
    let orphan = stack.enter(&SITE, terms(&LIMIT), 0);
    assert_eq!(stack.judge(orphan, 150), verdict(150, 150, true));
    leave(&stack, lowest, 150);
    assert_eq!(stack.judge(orphan, 20), verdict(20, 150, true));
    assert_eq!(leave(&stack, orphan, 200), verdict(200, 200, true));
    assert_eq!(leave(&stack, orphan, 200), None);
    assert_eq!(SITE.exceeded_total(), 1);

    let lowest = stack.enter(&A, terms(&LIMIT), 0);
    let orphan = stack.enter(&B, terms(&LIMIT), 0);
    leave(&stack, lowest, 0);
    let others = [
        stack.enter(&A, terms(&LIMIT), 0),
        stack.enter(&C, terms(&LIMIT), 0),
    ];
    assert_eq!(leave(&stack, orphan, 5), None);
    assert_eq!(stack.judge(others[1], 6), verdict(6, 6, false));
}

#[test]
fn past_the_depth_there_is_no_frame_and_nothing_breaks() {
    static SITES: [Site; MAX_DEPTH + 1] = [const { Site::new("deep") }; MAX_DEPTH + 1];
    let stack = FrameStack::new();
    let tickets: Vec<Ticket> = SITES
        .iter()
        .map(|site| stack.enter(site, terms(&LIMIT), 0))
        .collect();
    assert_eq!(tickets[MAX_DEPTH], Ticket::NONE);
    assert_eq!(leave(&stack, tickets[MAX_DEPTH], 1), None);
    assert_eq!(FrameStack::new().judge(Ticket::NONE, 1), None);
    for ticket in tickets[..MAX_DEPTH].iter().rev() {
        assert!(leave(&stack, *ticket, 1).is_some());
    }
    assert!(stack.is_empty());
}

#[test]
fn each_crossing_is_noted_once_at_its_site() {
    static SITE: Site = Site::new("noted");
    let stack = FrameStack::new();
    for _ in 0..3 {
        let ticket = stack.enter(&SITE, terms(&LIMIT), 0);
        stack.judge(ticket, 101);
        stack.judge(ticket, 300);
        leave(&stack, ticket, 0);
    }
    assert_eq!(SITE.exceeded_total(), 3);
}

#[test]
fn an_event_settles_only_where_a_line_was_passed() {
    const STEP: i64 = PUBLISH_STEP_BYTES;
    static SITE: Site = Site::new("settles");
    let stack = FrameStack::new();
    let ticket = stack.enter(&SITE, terms(&MemoryLimit::mib(1000)), 0);
    let told_at = |net_bytes| {
        stack.at_event(net_bytes);
        SITE.told_bytes()
    };
    // Up in steps, down in steps, and nothing in between.
    assert_eq!(told_at(STEP), 0);
    assert_eq!(told_at(STEP + 1), STEP + 1);
    assert_eq!(told_at(2 * STEP), STEP + 1);
    assert_eq!(told_at(3 * STEP), 3 * STEP);
    assert_eq!(told_at(2 * STEP), 3 * STEP);
    assert_eq!(told_at(2 * STEP - 1), 2 * STEP - 1);
    assert_eq!(told_at(-STEP), 0);
    // What it holds below 0 is no step from 0.
    let floor_bytes = stack.floor_bytes.get();
    assert_eq!(floor_bytes, NO_FLOOR);
    stack.leave(ticket, 0).unwrap().ended.unwrap().end(&SITE);
    assert_eq!(SITE.told_bytes(), 0);
}

#[test]
fn what_a_future_has_told_goes_along_with_it() {
    const STEP: i64 = PUBLISH_STEP_BYTES;
    static SITE: Site = Site::new("told future");
    let (stack, limit) = (FrameStack::new(), terms(&MemoryLimit::mib(1000)));
    let mut held = Carried::default();
    let ticket = stack.resume(&SITE, limit, &mut held, 0);
    stack.at_event(2 * STEP);
    assert!(stack.suspend_quietly(ticket, &mut held, 2 * STEP));
    assert_eq!(
        (held.used_bytes, held.published_bytes),
        (2 * STEP, 2 * STEP)
    );
    assert_eq!(stack.floor_bytes.get(), NO_FLOOR, "no floor stays behind");
    // On a thread that frees what it told, the end of the poll tells so.
    let other = FrameStack::new();
    let ticket = other.resume(&SITE, limit, &mut held, 0);
    assert!(!other.suspend_quietly(ticket, &mut held, -2 * STEP));
    let held = other.close(ticket, -2 * STEP).unwrap();
    assert_eq!((held.used_bytes, SITE.told_bytes()), (0, 0));
}

#[test]
fn no_trip_of_an_inner_scope_stays_behind() {
    let stack = FrameStack::new();
    let outer = stack.enter(&A, terms(&MemoryLimit::mib(1000)), 0);
    let trip_bytes = stack.trip_bytes.get();
    let inner = stack.enter(&B, terms(&MemoryLimit::bytes(10)), 0);
    assert!(stack.trip_bytes.get() < trip_bytes);
    assert_eq!(stack.leave_quietly(inner, 5), Some(5));
    assert_eq!(stack.trip_bytes.get(), trip_bytes);
    assert_eq!(stack.leave_lowest(outer, 5), Some(5));
}

#[test]
fn a_closed_frame_is_not_joined_and_draws_no_line() {
    let stack = FrameStack::new();
    let lowest = stack.enter(&A, terms(&MemoryLimit::mib(1000)), 0);
    let closed = stack.enter(&B, terms(&erring(10)), 0);
    let top = stack.enter(&C, terms(&MemoryLimit::mib(1000)), 0);
    assert!(stack.judge(closed, 20).unwrap().exceeded && !stack.is_calm(20));
    leave(&stack, closed, 20);
    assert!(stack.is_calm(20), "its limit is nobody's any more");
    let again = stack.enter(&B, terms(&erring(10)), 20);
    assert_ne!(again, closed);
    assert_eq!(stack.judge(again, 25), verdict(5, 5, false));
    for ticket in [again, top, lowest] {
        assert!(leave(&stack, ticket, 25).is_some());
    }
    assert!(stack.is_empty());
}

#[test]
fn a_future_goes_quietly_only_when_it_has_nothing_to_tell() {
    static SITE: Site = Site::new("warned future");
    let stack = FrameStack::new();
    let mut held = Carried::default();
    // Past a limit that only warns: no line tells of it any more, and it is noted once.
    let ticket = stack.resume(&SITE, terms(&LIMIT), &mut held, 0);
    stack.at_event(150);
    assert!(stack.is_calm(150));
    assert!(!stack.suspend_quietly(ticket, &mut held, 150));
    let mut held = stack.close(ticket, 150).unwrap();
    assert!(held.exceeded);
    let ticket = stack.resume(&SITE, terms(&LIMIT), &mut held, 150);
    stack.at_event(160);
    let held = stack.close(ticket, 160).unwrap();
    assert_eq!((held.used_bytes, SITE.exceeded_total()), (160, 1));
    // Above a frame that was closed: that one goes along.
    let lowest = stack.enter(&A, terms(&LIMIT), 0);
    let closed = stack.enter(&B, terms(&LIMIT), 0);
    let mut held = Carried::default();
    let ticket = stack.resume(&C, terms(&LIMIT), &mut held, 0);
    leave(&stack, closed, 0);
    assert!(!stack.suspend_quietly(ticket, &mut held, 0));
    assert!(stack.close(ticket, 0).is_some());
    assert_eq!(stack.depth.get(), 1);
    leave(&stack, lowest, 0);
}
