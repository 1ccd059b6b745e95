//! Scopes on a real allocator: what counts, what a check says, and every way to leave.

#![cfg(feature = "jemalloc")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use plimsoll::{LimitExceeded, MemoryLimit, OnExceed, Site, checkpoint, memory_limit};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;

fn erring(mib: u64) -> MemoryLimit {
    MemoryLimit::mib(mib).on_exceed(OnExceed::Error)
}

#[test]
fn a_scope_reports_what_its_thread_allocated_and_freed() {
    let before = vec![1u8; 3 * MIB];
    let scope = MemoryLimit::mib(8).enter();
    let kept = vec![1u8; 2 * MIB];
    drop(before);
    let report = scope.finish();
    assert!(report.measured && !report.exceeded);
    assert!(report.allocated_bytes >= 2 * MIB as u64);
    assert!(report.freed_bytes >= 3 * MIB as u64);
    assert!(report.net_bytes < 0, "{report:?}");
    assert_eq!(
        report.net_bytes,
        report.allocated_bytes as i64 - report.freed_bytes as i64
    );
    drop(kept);
}

#[test]
fn a_check_fails_past_the_limit_and_stays_failed() {
    static SITE: Site = Site::new("latched");
    let scope = MemoryLimit::mib(1).at(&SITE).enter();
    scope.check().unwrap();
    let kept = vec![1u8; 2 * MIB];
    let exceeded = scope.check().unwrap_err();
    assert!(std::ptr::eq(exceeded.site, &SITE));
    assert_eq!(exceeded.limit_bytes, MIB as u64);
    assert!(exceeded.used_bytes >= 2 * MIB as u64);
    drop(kept);
    let exceeded = scope.check().unwrap_err();
    assert!(exceeded.used_bytes < MIB as u64 && exceeded.peak_bytes >= 2 * MIB as u64);
    assert!(exceeded.to_string().starts_with("latched ("), "{exceeded}");
    assert!(scope.finish().exceeded);
    assert_eq!(SITE.exceeded_total(), 1);
}

#[test]
fn a_checkpoint_names_the_outermost_scope_that_does_more_than_warn() {
    assert!(checkpoint().is_ok());
    let _warns = MemoryLimit::kib(1).named("warns").enter();
    let outer = erring(1).named("outer").enter();
    let inner = erring(1).named("inner").enter();
    let kept = vec![1u8; 2 * MIB];
    assert_eq!(checkpoint().unwrap_err().site.name(), "outer");
    drop(inner);
    drop(outer);
    assert!(checkpoint().is_ok());
    drop(kept);
}

#[test]
fn memory_that_another_thread_frees_stays_charged() {
    let scope = MemoryLimit::mib(1).enter();
    let sent = vec![1u8; 2 * MIB];
    std::thread::scope(|threads| {
        threads.spawn(move || drop(sent));
    });
    let report = scope.finish();
    assert!(report.net_bytes >= 2 * MIB as i64 && report.exceeded);
}

#[test]
fn guards_may_end_in_any_order_or_never() {
    let outer = erring(1).named("outer out of order").enter();
    let inner = erring(4).named("inner out of order").enter();
    let kept = vec![1u8; 2 * MIB];
    assert!(outer.finish().exceeded);
    // The inner one outlives it, and is judged by its own numbers.
    let more = vec![1u8; 3 * MIB];
    assert!(inner.check().is_err());
    assert!(inner.finish().net_bytes >= 5 * MIB as i64);
    drop((kept, more));

    let outer = erring(4).named("around a leak").enter();
    std::mem::forget(erring(1).named("leaked").enter());
    let kept = vec![1u8; 2 * MIB];
    assert_eq!(checkpoint().unwrap_err().site.name(), "leaked");
    drop(outer);
    assert!(checkpoint().is_ok());
    drop(kept);
}

#[test]
fn a_guard_that_outlives_its_frame_keeps_its_verdict_and_counts_once() {
    static SITE: Site = Site::new("outlives");
    let outer = MemoryLimit::mib(100).named("lowest").enter();
    let inner = MemoryLimit::mib(1).at(&SITE).enter();
    let kept = vec![1u8; 2 * MIB];
    assert!(inner.check().is_err());
    drop(outer);
    drop(kept);
    assert!(inner.check().is_err());
    let report = inner.finish();
    assert!(
        report.exceeded && report.peak_bytes >= 2 * MIB as u64,
        "{report:?}"
    );
    assert_eq!(SITE.exceeded_total(), 1);
}

#[test]
fn each_limit_of_a_site_is_judged_by_its_own_number() {
    static SITE: Site = Site::new("two limits");
    let outer = MemoryLimit::mib(1).at(&SITE).enter();
    let kept = vec![1u8; 2 * MIB];
    let inner = MemoryLimit::mib(100).at(&SITE).enter();
    assert!(inner.check().is_ok());
    assert_eq!(outer.check().unwrap_err().limit_bytes, MIB as u64);
    drop((kept, inner));
}

#[test]
fn unwinding_leaves_the_scopes_it_passes() {
    let outer = erring(1).enter();
    let result = catch_unwind(|| {
        let _inner = erring(1).named("unwound").enter();
        panic!("on the way out");
    });
    assert!(result.is_err());
    let kept = vec![1u8; 2 * MIB];
    assert!(outer.check().is_err());
    assert_ne!(checkpoint().unwrap_err().site.name(), "unwound");
    drop(kept);
}

#[test]
fn recursion_is_one_scope() {
    #[memory_limit(max = "1MiB", on_exceed = "error")]
    fn descend(depth: usize) -> Result<usize, LimitExceeded> {
        let kept = [depth; 16].to_vec();
        checkpoint()?;
        let below = if depth == 0 { 0 } else { descend(depth - 1)? };
        Ok(below + kept.len() / 16)
    }
    // Its 128 bytes per level stay within the limit at a thousand levels, and pass it at ten thousand.
    let deep = std::thread::Builder::new().stack_size(64 * MIB);
    let results = deep
        .spawn(|| (descend(1000), descend(10_000)))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(results.0.unwrap(), 1001);
    assert!(results.1.is_err());
}

#[test]
fn the_attribute_stops_the_work_or_turns_its_result_into_the_error() {
    #[memory_limit(max_mb = 1, on_exceed = "error")]
    fn stops(parts: usize) -> Result<usize, LimitExceeded> {
        let mut kept = Vec::new();
        for _ in 0..parts {
            kept.push(vec![1u8; 64 << 10]);
            checkpoint()?;
        }
        Ok(kept.len())
    }

    #[memory_limit(max_mb = 1, on_exceed = "error")]
    fn never_looks(bytes: usize) -> Result<Vec<u8>, LimitExceeded> {
        Ok(vec![1; bytes])
    }

    #[derive(Debug, PartialEq)]
    enum Own {
        Failed,
        Limit,
    }
    impl From<LimitExceeded> for Own {
        fn from(_: LimitExceeded) -> Self {
            Own::Limit
        }
    }
    #[memory_limit(max_mb = 1, on_exceed = "error")]
    fn fails_by_itself(kept: &mut Vec<u8>) -> Result<(), Own> {
        kept.resize(2 * MIB, 1);
        Err(Own::Failed)
    }

    assert_eq!(stops(4).unwrap(), 4);
    let exceeded = stops(1000).unwrap_err();
    assert!(exceeded.site.name().ends_with("stops"));
    assert!(
        exceeded.peak_bytes < 2 * MIB as u64,
        "stopped at the first checkpoint past the limit"
    );
    assert_eq!(never_looks(1000).unwrap().len(), 1000);
    assert!(never_looks(2 * MIB).is_err());
    assert_eq!(fails_by_itself(&mut Vec::new()), Err(Own::Failed));
}

#[test]
fn the_policy_panic_panics_on_leaving_and_never_twice() {
    #[memory_limit(max_mb = 1, on_exceed = "panic")]
    fn big(bytes: usize) -> usize {
        vec![1u8; bytes].len() + vec![1u8; bytes].capacity() - bytes
    }
    #[memory_limit(max_mb = 1, on_exceed = "panic")]
    fn keeps(kept: &mut Vec<u8>, fail: bool) {
        kept.resize(2 * MIB, 1);
        assert!(!fail, "its own panic");
    }
    assert_eq!(big(1000), 1000);

    let message = |result: Result<(), Box<dyn std::any::Any + Send>>| {
        let payload = result.unwrap_err();
        match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
        }
    };
    let mut kept = Vec::new();
    let left = catch_unwind(AssertUnwindSafe(|| keeps(&mut kept, false)));
    assert!(message(left).contains("keeps"));
    kept = Vec::new();
    let unwound = catch_unwind(AssertUnwindSafe(|| keeps(&mut kept, true)));
    assert_eq!(message(unwound), "its own panic");

    let scope = MemoryLimit::mib(1).on_exceed(OnExceed::Panic).enter();
    let kept = vec![1u8; 2 * MIB];
    assert!(
        scope.finish().exceeded,
        "finish hands the verdict over instead of panicking"
    );
    drop(kept);
}

#[test]
fn a_scope_works_in_the_destructor_of_a_thread_local() {
    struct Late(Vec<u8>, mpsc::Sender<(bool, bool)>);
    impl Drop for Late {
        fn drop(&mut self) {
            let scope = erring(1).named("late").enter();
            self.0.resize(2 * MIB, 1);
            let stopped = checkpoint().is_err();
            plimsoll::PeriodicCleanup::every(1).tick();
            let manager = plimsoll::get_memory_manager();
            let cleaned = manager.force_cleanup().outcome == plimsoll::CleanupOutcome::Cleaned;
            let alive = manager.usage().rss_bytes > 0 && cleaned;
            let _ = self.1.send((stopped && scope.finish().exceeded, alive));
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(|| LATE.set(Some(Late(Vec::new(), sender))))
        .join()
        .unwrap();
    assert_eq!(receiver.recv().unwrap(), (true, true));
}

#[test]
fn a_limit_of_zero_is_passed_by_what_stays() {
    let scope = MemoryLimit::bytes(0).enter();
    scope.check().unwrap();
    let kept = Box::new(1u8);
    assert!(scope.check().is_err());
    drop(kept);
}

#[test]
fn an_allocation_that_fails_harms_no_scope() {
    let scope = MemoryLimit::mib(1).enter();
    let mut kept: Vec<u8> = Vec::new();
    assert!(kept.try_reserve_exact(isize::MAX as usize).is_err());
    assert!(scope.check().is_ok());
    assert_eq!(scope.finish().net_bytes, 0);
}
