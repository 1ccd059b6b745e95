//! The scopes of the running thread, and what the allocator's callback does with them.

use std::mem::ManuallyDrop;

use crate::meter;
use crate::scope::stack::FrameStack;

thread_local! {
    // Never dropped, so that scopes work in the destructors of other thread-locals and the allocator may call back at any time. A
    // guard that was leaked leaves its account behind, as it would without the thread's end.
    static FRAMES: ManuallyDrop<FrameStack> = const { ManuallyDrop::new(FrameStack::new()) };
}

/// This thread's open scopes.
#[inline(always)]
pub(super) fn frames<R>(visit: impl FnOnce(&FrameStack) -> R) -> R {
    FRAMES.with(|frames| visit(frames))
}

/// An event of the allocator on this thread. Inside it: cells, and for a scope that is past a line atomics, the clock, and at most
/// one futex wake.
#[inline]
pub(crate) fn at_event(net_bytes: i64) {
    // Never refused: a thread-local without a destructor is there as long as its thread.
    let _ = FRAMES.try_with(|frames| frames.at_event(net_bytes));
}

/// A scope has ended, or a poll: past the outermost one this thread's cache is flushed if a purge asks for it.
#[inline]
pub(super) fn at_edge() {
    if frames(FrameStack::is_empty) {
        meter::at_boundary();
    }
}
