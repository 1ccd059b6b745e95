//! A jemalloc without a thread event to spare: everything that can be judged at edges still is, and it is said.

#![cfg(feature = "jemalloc")]

use std::ffi::c_void;
use std::ptr;

use plimsoll::{MemoryLimit, Site, get_memory_manager};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

extern "C" fn ignore(_: bool, _: u64, _: u64) {}

#[repr(C)]
struct Hook {
    callback: extern "C" fn(bool, u64, u64),
    interval_bytes: u64,
    is_alloc_only: bool,
}

/// Takes a slot; whether there was one. The same hook twice would be one: each has its own interval.
fn take_slot(number: u64) -> bool {
    let mut hook = Hook {
        callback: ignore,
        interval_bytes: (1 << 40) + number,
        is_alloc_only: true,
    };
    // SAFETY: the key is NUL-terminated, the hook is what jemalloc 5.3 declares and is copied before the call returns.
    let status = unsafe {
        tikv_jemalloc_sys::mallctl(
            c"experimental.hooks.thread_event".as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            (&raw mut hook).cast::<c_void>(),
            size_of::<Hook>(),
        )
    };
    status == 0
}

#[test]
fn without_events_scopes_are_judged_at_their_edges() {
    let mut slots = 0u64;
    while slots < 100 && take_slot(slots) {
        slots += 1;
    }
    assert_eq!(slots, 4);

    static SITE: Site = Site::new("edges");
    let scope = MemoryLimit::mib(1).at(&SITE).enter();
    let kept = vec![1u8; 4 << 20];
    assert_eq!(SITE.exceeded_total(), 0, "nothing looked yet");
    assert!(scope.check().is_err());
    assert_eq!(SITE.exceeded_total(), 1);
    drop(kept);
    let report = scope.finish();
    assert!(report.measured && report.exceeded);
    assert!(report.peak_bytes >= 4 << 20);

    let scope = MemoryLimit::mib(1).at(&SITE).enter();
    let kept = vec![1u8; 4 << 20];
    drop(scope);
    assert_eq!(SITE.exceeded_total(), 2, "judged on leaving");
    drop(kept);

    let findings = get_memory_manager().findings();
    assert!(
        findings
            .iter()
            .any(|finding| finding.code == "no-thread-events"),
        "{findings:?}"
    );
}
