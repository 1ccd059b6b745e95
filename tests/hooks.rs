//! Hooks that misbehave: each gets a documented answer, the others run, and the purge happens.

#![cfg(feature = "jemalloc")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use plimsoll::{
    CleanupFn, CleanupOutcome, CleanupReason, CleanupRegistration, HookOutcome, HookReport,
    MemoryManager,
};
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Patient where nothing hangs.
fn manager() -> MemoryManager {
    with_deadline(Duration::from_secs(60))
}

/// A hook gets a quarter of `deadline`.
fn with_deadline(deadline: Duration) -> MemoryManager {
    MemoryManager::builder()
        .cleanup_deadline(deadline)
        .build()
        .unwrap()
}

fn find<'a>(hooks: &'a [HookReport], name: &str) -> &'a HookReport {
    hooks.iter().find(|hook| hook.name == name).unwrap()
}

/// A well-behaved hook of the lowest priority, and how often it ran.
fn neighbour(manager: &MemoryManager) -> (CleanupRegistration, Arc<AtomicU64>) {
    let runs = Arc::new(AtomicU64::new(0));
    let hook = CleanupFn::new("neighbour", {
        let runs = Arc::clone(&runs);
        move |_| runs.fetch_add(1, Ordering::Relaxed)
    });
    (manager.register_cleanup(hook.priority(-100)), runs)
}

#[test]
fn hooks_run_by_priority_and_report_claim_beside_measurement() {
    let manager = manager();
    let order = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::new(Mutex::new(vec![1u8; 8 << 20]));
    let named = |name: &'static str, priority| {
        let (order, held) = (Arc::clone(&order), Arc::clone(&held));
        manager.register_cleanup(
            CleanupFn::new(name, move |request| {
                assert_eq!(request.reason, CleanupReason::Forced);
                order.lock().unwrap().push(name);
                held.lock().unwrap().clear();
                held.lock().unwrap().shrink_to_fit();
                1u64 << 30
            })
            .priority(priority)
            .estimate(|| 5),
        )
    };
    let (_second, _first) = (named("second", 1), named("first", 2));
    let report = manager.force_cleanup();
    assert_eq!(*order.lock().unwrap(), ["first", "second"]);
    let first = &report.hooks[0];
    assert_eq!(first.outcome, HookOutcome::Completed);
    assert_eq!(
        (first.estimated_bytes, first.claimed_bytes),
        (Some(5), Some(1 << 30))
    );
    assert!(first.freed_bytes.unwrap() >= 8 << 20);
    // The boast of the second is on record, and so is that it freed nothing.
    assert_eq!(report.hooks[1].claimed_bytes, Some(1 << 30));
    assert!(report.hooks[1].freed_bytes.unwrap() < 1 << 20);
}

#[test]
fn a_panic_is_reported_and_harms_no_other() {
    let manager = manager();
    let _panics =
        manager.register_cleanup(CleanupFn::new("panics", |_| -> u64 { panic!("no way") }));
    let _odd = manager.register_cleanup(CleanupFn::new("odd", |_| -> u64 {
        std::panic::panic_any(7)
    }));
    let (_neighbour, runs) = neighbour(&manager);
    for round in 1..=2 {
        let report = manager.force_cleanup();
        assert_eq!(report.outcome, CleanupOutcome::Cleaned);
        assert_eq!(
            find(&report.hooks, "panics").outcome,
            HookOutcome::Panicked("no way".into())
        );
        assert!(matches!(
            find(&report.hooks, "odd").outcome,
            HookOutcome::Panicked(_)
        ));
        assert!(report.purged);
        assert_eq!(runs.load(Ordering::Relaxed), round);
    }
}

#[test]
fn a_hook_that_sleeps_for_ever_is_left_behind_until_it_returns() {
    let manager = with_deadline(Duration::from_secs(2));
    let (wake, sleeps) = mpsc::channel::<()>();
    let sleeps = Mutex::new(sleeps);
    let _sleeper = manager.register_cleanup(CleanupFn::new("sleeper", move |_| {
        let _ = sleeps.lock().unwrap().recv();
    }));
    let (_neighbour, runs) = neighbour(&manager);

    let report = manager.force_cleanup();
    assert_eq!(report.outcome, CleanupOutcome::Cleaned, "{report}");
    assert_eq!(
        find(&report.hooks, "sleeper").outcome,
        HookOutcome::TimedOut
    );
    assert!(report.purged);
    assert_eq!(runs.load(Ordering::Relaxed), 1);

    let report = manager.force_cleanup();
    assert_eq!(
        find(&report.hooks, "sleeper").outcome,
        HookOutcome::StillRunning
    );
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    let late = manager
        .findings()
        .into_iter()
        .find(|finding| finding.code == "hook-late")
        .unwrap();
    assert!(
        late.message.contains("sleeper") && late.message.contains("has not returned"),
        "{late}"
    );

    drop(wake);
    wait_until("the sleeper runs again", || {
        find(&manager.force_cleanup().hooks, "sleeper").outcome == HookOutcome::Completed
    });
}

#[test]
fn many_hooks_that_hang_leave_the_purge_and_a_bounded_number_of_threads() {
    let manager = with_deadline(Duration::from_millis(400));
    let (wake, sleeps) = mpsc::channel::<()>();
    let sleeps = Arc::new(Mutex::new(sleeps));
    let _sleepers: Vec<_> = (0..10)
        .map(|n| {
            let sleeps = Arc::clone(&sleeps);
            manager.register_cleanup(CleanupFn::new(format!("sleeper {n}"), move |_| {
                let _ = sleeps.lock().unwrap().recv();
            }))
        })
        .collect();
    let runners = || {
        std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|name| name.trim() == "plimsoll-runner")
            .count()
    };
    let others = runners();
    for _ in 0..5 {
        manager.force_cleanup();
    }
    let started = runners() - others;
    assert!(started <= 6, "{started} runners");
    wait_until("a cleanup that only purges", || {
        let report = manager.force_cleanup();
        report.outcome == CleanupOutcome::Cleaned && report.purged
    });
    drop(wake);
    wait_until("all sleepers are back", || {
        manager
            .force_cleanup()
            .hooks
            .iter()
            .all(|hook| hook.outcome == HookOutcome::Completed)
    });
}

#[test]
fn a_hook_that_wants_the_forcing_callers_lock_times_out_instead_of_deadlocking() {
    let manager = with_deadline(Duration::from_secs(2));
    let cache = Arc::new(Mutex::new(vec![1u8; 1 << 20]));
    let _cache = manager.register_cleanup(CleanupFn::new("cache", {
        let cache = Arc::clone(&cache);
        move |_| std::mem::take(&mut *cache.lock().unwrap()).len()
    }));
    let (_neighbour, runs) = neighbour(&manager);
    let held = cache.lock().unwrap();
    let report = manager.force_cleanup();
    assert_eq!(find(&report.hooks, "cache").outcome, HookOutcome::TimedOut);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(held.len(), 1 << 20);
    drop(held);
    // The hook that was left behind gets the lock now and empties the cache after all.
    wait_until("the cache is empty", || cache.lock().unwrap().is_empty());
}

#[test]
fn a_hook_may_allocate_re_enter_the_manager_and_register_others() {
    let manager = Arc::new(manager());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let grown = Arc::new(Mutex::new(Vec::new()));
    let _hook = manager.register_cleanup(CleanupFn::new("busy", {
        let (manager, kept, grown) = (
            Arc::downgrade(&manager),
            Arc::clone(&kept),
            Arc::clone(&grown),
        );
        move |_| {
            let manager = manager.upgrade().unwrap();
            grown.lock().unwrap().push(vec![1u8; 4 << 20]);
            assert!(manager.usage().rss_bytes > 0);
            manager.request_cleanup();
            let inner = manager.force_cleanup();
            assert_eq!(inner.outcome, CleanupOutcome::InsideHook);
            kept.lock()
                .unwrap()
                .push(manager.register_cleanup(CleanupFn::new("child", |_| ())));
            0u64
        }
    }));
    let report = manager.force_cleanup();
    let busy = find(&report.hooks, "busy");
    assert_eq!(busy.outcome, HookOutcome::Completed, "{report}");
    assert!(busy.allocated_bytes.unwrap() >= 4 << 20);
    wait_until("the hook that was registered inside runs", || {
        manager
            .force_cleanup()
            .hooks
            .iter()
            .any(|hook| hook.name == "child")
    });
}

#[test]
fn a_hook_may_unregister_itself() {
    let manager = manager();
    let own: Arc<Mutex<Option<CleanupRegistration>>> = Arc::default();
    let registration = manager.register_cleanup(CleanupFn::new("once", {
        let own = Arc::clone(&own);
        move |_| drop(own.lock().unwrap().take())
    }));
    *own.lock().unwrap() = Some(registration);
    assert_eq!(
        manager.force_cleanup().hooks[0].outcome,
        HookOutcome::Completed
    );
    assert!(manager.force_cleanup().hooks.is_empty());
}

#[test]
fn callers_that_arrive_together_share_a_cleanup_that_began_after_they_asked() {
    let manager = manager();
    let runs = Arc::new(AtomicU64::new(0));
    let _hook = manager.register_cleanup(CleanupFn::new("counts", {
        let runs = Arc::clone(&runs);
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            std::thread::yield_now();
        }
    }));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let before = runs.load(Ordering::SeqCst);
                    let report = manager.force_cleanup();
                    assert_eq!(report.outcome, CleanupOutcome::Cleaned);
                    assert!(runs.load(Ordering::SeqCst) > before);
                }
            });
        }
    });
    assert!(runs.load(Ordering::SeqCst) <= 160);
    assert_eq!(manager.stats().cleanups_total, runs.load(Ordering::SeqCst));
}

#[test]
fn request_cleanup_returns_at_once_and_the_cleanup_comes() {
    let manager = manager();
    let ran_elsewhere = Arc::new(AtomicBool::new(false));
    let caller = std::thread::current().id();
    let _hook = manager.register_cleanup(CleanupFn::new("elsewhere", {
        let ran_elsewhere = Arc::clone(&ran_elsewhere);
        move |_| ran_elsewhere.store(std::thread::current().id() != caller, Ordering::Release)
    }));
    manager.request_cleanup();
    wait_until("the requested cleanup", || {
        ran_elsewhere.load(Ordering::Acquire)
    });
}

#[test]
fn dropping_a_manager_ends_its_threads_even_from_inside_a_hook() {
    for _ in 0..20 {
        let manager = manager();
        manager.force_cleanup();
        drop(manager);
    }
    // The last owner is a hook: the manager is dropped on its own runner.
    let (done, ended) = mpsc::channel();
    let slot: Arc<Mutex<Option<MemoryManager>>> = Arc::default();
    let manager = manager();
    let registration = manager.register_cleanup(CleanupFn::new("drops the manager", {
        let slot = Arc::clone(&slot);
        move |_| {
            let manager = slot.lock().unwrap().take();
            drop(manager);
            let _ = done.send(());
        }
    }));
    manager.request_cleanup();
    *slot.lock().unwrap() = Some(manager);
    ended.recv_timeout(Duration::from_secs(60)).unwrap();
    drop(registration);
}

#[test]
fn a_hook_is_not_called_after_its_registration_was_dropped() {
    let manager = manager();
    let (go, wait) = mpsc::channel::<()>();
    let (inside, is_inside) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let _first = manager.register_cleanup(
        CleanupFn::new("first", move |_| {
            inside.send(()).unwrap();
            let _ = wait.lock().unwrap().recv();
        })
        .priority(5),
    );
    let (second, runs) = neighbour(&manager);
    manager.request_cleanup();
    is_inside.recv().unwrap();
    drop(second);
    go.send(()).unwrap();
    wait_until("the cleanup is done", || {
        manager.stats().cleanups_total == 1
    });
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[test]
fn a_hook_whose_drop_panics_on_the_runner_harms_no_later_cleanup() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let manager = manager();
    let own: Arc<Mutex<Option<CleanupRegistration>>> = Arc::default();
    let registration = manager.register_cleanup(CleanupFn::new("once", {
        let (own, bomb) = (Arc::clone(&own), Bomb);
        move |_| {
            let _ = &bomb;
            drop(own.lock().unwrap().take());
        }
    }));
    *own.lock().unwrap() = Some(registration);
    for _ in 0..3 {
        assert_eq!(manager.force_cleanup().outcome, CleanupOutcome::Cleaned);
    }
}

#[test]
fn a_name_or_an_estimate_that_panics_stays_with_who_asked() {
    struct Odd;
    impl plimsoll::CleanupHook for Odd {
        fn cleanup(&self, _: &plimsoll::CleanupRequest) -> plimsoll::ClaimedBytes {
            plimsoll::ClaimedBytes::UNKNOWN
        }
        fn name(&self) -> &str {
            panic!("no name")
        }
    }
    let manager = manager();
    let register = std::panic::AssertUnwindSafe(|| manager.register_cleanup(Odd));
    assert!(std::panic::catch_unwind(register).is_err());
    let _guesses = manager
        .register_cleanup(CleanupFn::new("guesses", |_| 1u64).estimate(|| panic!("no estimate")));
    let report = manager.force_cleanup();
    assert_eq!(report.hooks.len(), 1);
    assert_eq!(
        report.hooks[0].outcome,
        HookOutcome::Panicked("no estimate".into())
    );
}

#[test]
fn a_hook_may_have_another_manager_clean_up() {
    let (outer, inner) = (manager(), Arc::new(manager()));
    let outcome = Arc::new(Mutex::new(None));
    let _hook = outer.register_cleanup(CleanupFn::new("asks another", {
        let (inner, outcome) = (Arc::clone(&inner), Arc::clone(&outcome));
        move |_| *outcome.lock().unwrap() = Some(inner.force_cleanup().outcome)
    }));
    outer.force_cleanup();
    assert_eq!(*outcome.lock().unwrap(), Some(CleanupOutcome::Cleaned));
    assert_eq!(inner.stats().cleanups_total, 1);
}

#[test]
fn a_hook_that_works_until_the_deadline_it_was_told_is_not_late() {
    let manager = with_deadline(Duration::from_secs(4));
    let _diligent = manager.register_cleanup(CleanupFn::new("diligent", |request| {
        while std::time::Instant::now() < request.deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }));
    assert_eq!(
        manager.force_cleanup().hooks[0].outcome,
        HookOutcome::Completed
    );
}
