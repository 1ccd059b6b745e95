//! [`Step`]: what may happen on a thread.

use proptest::prelude::*;

use super::{LIMITS, THREADS};

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The thread's net moves and an event sees it; negative: it frees what others allocated.
    Event(i64),
    /// The net moves unseen, below the meter's interval.
    Unseen(i64),
    Enter(usize),
    /// Enters a live guard's scope once more: recursion.
    Join(usize),
    /// Ends a live guard, in any order.
    Leave(usize),
    /// Ends a live guard or attachment that outlived the lowest scope.
    LeaveOrphan(usize),
    /// Forgets a guard.
    Leak(usize),
    Check(usize),
    /// Makes a handle of a guard.
    Share(usize),
    /// Works for a shared scope, or ends that.
    Attach(usize),
    Detach,
    /// Polls a future: it starts if need be, and its frame stays until it is suspended.
    Resume(usize),
    Suspend,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let bytes = prop_oneof![-2000i64..2000, -60i64..60, -(1i64 << 20)..(1 << 20)];
    let step = prop_oneof![
        4 => bytes.clone().prop_map(Step::Event),
        2 => bytes.prop_map(Step::Unseen),
        3 => (0..LIMITS.len()).prop_map(Step::Enter),
        1 => (0usize..8).prop_map(Step::Join),
        3 => (0usize..8).prop_map(Step::Leave),
        1 => (0usize..8).prop_map(Step::LeaveOrphan),
        1 => (0usize..8).prop_map(Step::Leak),
        2 => (0usize..8).prop_map(Step::Check),
        1 => (0usize..8).prop_map(Step::Share),
        2 => (0usize..8).prop_map(Step::Attach),
        2 => Just(Step::Detach),
        2 => (0..LIMITS.len()).prop_map(Step::Resume),
        2 => Just(Step::Suspend),
    ];
    proptest::collection::vec((0..THREADS, step), 1..80)
}
