//! The ways to know what was allocated, all over the same jemalloc, and the loop that they are compared by.
//!
//! Each is called through the methods of [`GlobalAlloc`] on a static of its type, and not as the program's global allocator:
//! `stats_alloc` can't be made one over jemalloc on stable Rust, scopes need Plimsoll's type to be the global one, and so all
//! run in the same program. The methods are called through a pointer, where a program calls `__rust_alloc` and
//! `__rust_dealloc`: neither is ever inlined, and the size is not known in advance.
//!
//! Bias: one block at a time, always the one freed last, never written to: jemalloc's best case, in which whatever is added
//! weighs most. `tracking-allocator` gets a tracker that does nothing, and its header pushes a power of two into the next
//! size class. The batching wrapper never has anything to tell, as each pair adds up to zero, and lives in the
//! program itself: from a library its thread-local is three times as far (36 instructions per pair instead of 12). Beyond 32 KiB jemalloc cuts each
//! block off a free region and joins the two again, which is 4,000 instructions; where a region happens to fit it is
//! 2,700, and what is added weighs half as much again.

use std::alloc::{GlobalAlloc, Layout, handle_alloc_error};
use std::convert::identity;
use std::iter;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use cap::Cap;
use plimsoll::MemoryLimit;
use plimsoll_peers::Allocator;
use stats_alloc::StatsAlloc;
use tikv_jemallocator::Jemalloc;
use tracking_allocator::{
    AllocationGroupId, AllocationGroupToken, AllocationRegistry, AllocationTracker,
};

use crate::batching::Batching;

const LIMIT: MemoryLimit = MemoryLimit::mib(100);

/// More than the free regions that a start leaves.
const HELD_BLOCKS: usize = 64;

/// A tick of the worker: by then it has taken its reading and drawn the line for the heap.
const SETTLING: Duration = Duration::from_millis(600);

static BARE: Jemalloc = Jemalloc;
static PLIMSOLL: plimsoll::Jemalloc = plimsoll::Jemalloc;
static CAP: Cap<Jemalloc> = Cap::new(Jemalloc, usize::MAX);
static STATS: LazyLock<StatsAlloc<Jemalloc>> = LazyLock::new(|| StatsAlloc::new(Jemalloc));
static TRACKING: tracking_allocator::Allocator<Jemalloc> =
    tracking_allocator::Allocator::from_allocator(Jemalloc);
static BATCHING: Batching<Jemalloc> = Batching(Jemalloc);

/// Once in the process, before the first pair.
///
/// # Panics
/// When it was called before.
pub(crate) fn install(allocator: Allocator) {
    // With one thread a process has cheaper mutexes, and the meter brings a second: so all have one, as every service has.
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    match allocator {
        Allocator::Managed => {
            plimsoll::get_memory_manager();
            thread::sleep(SETTLING);
        }
        Allocator::TrackingAllocator => {
            AllocationRegistry::set_global_tracker(NoTracker).expect("the first tracker");
            AllocationRegistry::enable_tracking();
        }
        _ => {}
    }
}

/// Calls `work` where this thread is accounted for: in a scope, in a group.
///
/// # Panics
/// When a scope does not measure.
pub(crate) fn inside<R>(allocator: Allocator, work: impl FnOnce() -> R) -> R {
    match allocator {
        Allocator::Metered | Allocator::Managed => {
            let scope = LIMIT.named("pairs").enter();
            let result = work();
            assert!(
                scope.finish().measured,
                "the program's allocator is jemalloc"
            );
            result
        }
        Allocator::TrackingAllocator => {
            // It fails when two threads register at the same moment.
            let mut registrations = iter::repeat_with(AllocationGroupToken::register);
            let mut group = registrations.find_map(identity).expect("endless");
            let _entered = group.enter();
            work()
        }
        _ => work(),
    }
}

/// Calls `work` where nothing is free but the place of one block of this layout, so that what start-up left behind does not
/// decide what a large block costs.
pub(crate) fn in_full_heap<R>(allocator: Allocator, layout: Layout, work: impl FnOnce() -> R) -> R {
    let methods = methods(allocator);
    let mut held: Vec<*mut u8> = (0..HELD_BLOCKS)
        .map(|_| allocate(methods, layout))
        .collect();
    let place = held.swap_remove(HELD_BLOCKS - 2);
    // SAFETY: allocated above, and no longer among those that are held.
    unsafe { release(methods, place, layout) };
    let result = work();
    for block in held {
        // SAFETY: allocated above, and `work` did not know of it.
        unsafe { release(methods, block, layout) };
    }
    result
}

/// So many times malloc and free.
pub(crate) fn pairs(allocator: Allocator, layout: Layout, count: u64) {
    let methods = methods(allocator);
    for _ in 0..count {
        let block = allocate(methods, layout);
        // SAFETY: just allocated there, and never used.
        unsafe { release(methods, block, layout) };
    }
}

// Never inline: nobody may know which it is.
#[inline(never)]
fn methods(allocator: Allocator) -> &'static dyn GlobalAlloc {
    match allocator {
        Allocator::Bare => &BARE,
        Allocator::Metered | Allocator::Managed => &PLIMSOLL,
        Allocator::Cap => &CAP,
        Allocator::StatsAlloc => &*STATS,
        Allocator::TrackingAllocator => &TRACKING,
        Allocator::Batching => &BATCHING,
    }
}

fn allocate(methods: &dyn GlobalAlloc, layout: Layout) -> *mut u8 {
    assert_ne!(layout.size(), 0);
    // SAFETY: the size is not zero.
    let block = unsafe { methods.alloc(layout) };
    if block.is_null() {
        handle_alloc_error(layout);
    }
    block
}

/// # Safety
/// `allocate` returned the block for the same methods and layout, and nobody uses it any more.
unsafe fn release(methods: &dyn GlobalAlloc, block: *mut u8, layout: Layout) {
    // SAFETY: the caller's promise is that of the method.
    unsafe { methods.dealloc(block, layout) };
}

struct NoTracker;

impl AllocationTracker for NoTracker {
    fn allocated(&self, _: usize, _: usize, _: usize, _: AllocationGroupId) {}

    fn deallocated(
        &self,
        _: usize,
        _: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
    }
}
