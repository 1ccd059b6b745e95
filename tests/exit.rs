//! The manager in `atexit`, when everything else is going away.

#![cfg(feature = "jemalloc")]
#![cfg(unix)]

mod support;

use plimsoll::{CleanupFn, CleanupOutcome, MemoryLimit, get_memory_manager};
use support::{assert_success, child, is_child};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

extern "C" fn at_exit() {
    let manager = get_memory_manager();
    let cleaned = manager.force_cleanup();
    let scope = MemoryLimit::mib(1).enter();
    let works = manager.usage().rss_bytes > 0
        && cleaned.outcome == CleanupOutcome::Cleaned
        && cleaned.hooks.len() == 1
        && scope.check().is_ok();
    println!("at exit: {}", if works { "works" } else { "broken" });
}

#[test]
fn it_works_at_exit() {
    if !is_child() {
        let output = child("it_works_at_exit").output().unwrap();
        assert_success(&output);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains("at exit: works"), "{printed}");
        return;
    }
    std::mem::forget(get_memory_manager().register_cleanup(CleanupFn::new("hook", |_| ())));
    // SAFETY: `at_exit` is `extern "C"`, takes nothing and does not unwind.
    assert_eq!(unsafe { libc::atexit(at_exit) }, 0);
}
