//! Without jemalloc as the global allocator: readings and hooks work, scopes are inert and say so, nothing is invented.

use plimsoll::{
    CleanupFn, CleanupOutcome, HookOutcome, MemoryLimit, OnExceed, checkpoint, get_memory_manager,
};

#[test]
fn readings_and_hooks_work_and_scopes_say_that_they_do_not_measure() {
    let manager = get_memory_manager();
    let usage = manager.usage();
    assert!(usage.rss_bytes > 0 && usage.percent().is_some());
    assert!(usage.heap.is_none());

    let scope = MemoryLimit::bytes(1).on_exceed(OnExceed::Panic).enter();
    let kept = vec![1u8; 8 << 20];
    assert!(scope.check().is_ok() && checkpoint().is_ok());
    let report = scope.finish();
    assert!(!report.measured && !report.exceeded);
    assert_eq!(
        (report.allocated_bytes, report.net_bytes, report.peak_bytes),
        (0, 0, 0)
    );
    drop(kept);

    let _hook = manager.register_cleanup(CleanupFn::new("hook", |_| 5u64));
    let report = manager.force_cleanup();
    assert_eq!(report.outcome, CleanupOutcome::Cleaned);
    assert!(!report.purged);
    assert_eq!(report.thread_cache_bytes, None);
    let hook = &report.hooks[0];
    assert_eq!(hook.outcome, HookOutcome::Completed);
    assert_eq!(
        (
            hook.claimed_bytes,
            hook.freed_bytes,
            hook.process_freed_bytes
        ),
        (Some(5), None, None)
    );

    let finding = manager
        .findings()
        .into_iter()
        .find(|finding| finding.code == "not-measured");
    assert!(finding.unwrap().advice.contains("plimsoll::Jemalloc"));
}
