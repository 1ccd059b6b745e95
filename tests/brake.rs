//! The brake: threads that allocate above the High line wait for the cleanup, briefly, and nobody else does.

#![cfg(all(feature = "jemalloc", target_os = "linux"))]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use plimsoll::{
    BrakeStats, ByteSize, CleanupFn, CleanupReason, HookOutcome, MemoryManager, PressureLevel,
    get_memory_manager,
};
use support::fork::fork;
use support::wait_until;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;

const LIMIT: (&str, &str) = ("PLIMSOLL_MEMORY_LIMIT", "256MiB");

/// As long for a hook as a busy machine may need.
const PATIENT: (&str, &str) = ("PLIMSOLL_CLEANUP_DEADLINE_MS", "120000");

/// Runs `test` in a process of its own that may use 256 MiB.
fn alone(test: &str) -> bool {
    support::alone(test, &[LIMIT])
}

fn brake() -> BrakeStats {
    get_memory_manager().stats().brake
}

/// Memory that is really there.
fn touched(mib: usize) -> Vec<Vec<u8>> {
    (0..mib).map(|_| vec![1u8; MIB]).collect()
}

/// Calls `then` on top of so much stack.
fn deep(mib: usize, then: &dyn Fn()) {
    let block = std::hint::black_box([1u8; MIB]);
    match mib {
        0 => then(),
        _ => deep(mib - 1, then),
    }
    std::hint::black_box(&block);
}

/// Waits until the worker has taken everything anew, twice: once it may have begun before.
fn two_looks() {
    let looks = || get_memory_manager().stats().looks_total;
    let start = looks();
    wait_until("two looks of the worker", || looks() >= start + 2);
}

/// Fills the process up to above the High line and keeps it there.
fn filled_above_the_line() -> Vec<Vec<u8>> {
    get_memory_manager();
    two_looks();
    let held = touched(215);
    wait_until("a high level", || {
        get_memory_manager().pressure() >= PressureLevel::High
    });
    held
}

#[test]
fn a_filler_waits_for_the_hook_and_is_told_of_in_the_statistics() {
    if !alone("a_filler_waits_for_the_hook_and_is_told_of_in_the_statistics") {
        return;
    }
    let manager = get_memory_manager();
    let cache = Arc::new(Mutex::new(Vec::new()));
    let _registration = manager.register_cleanup(CleanupFn::new("cache", {
        let cache = Arc::clone(&cache);
        move |request| {
            // Cleanups that keep up would leave nobody to brake.
            while manager.pressure() < PressureLevel::High && Instant::now() < request.deadline {
                std::thread::yield_now();
            }
            let mut cache = cache.lock().unwrap();
            let blocks = request.target_bytes as usize / MIB + 1;
            let kept = cache.len().saturating_sub(blocks);
            let freed = cache.len() - kept;
            cache.truncate(kept);
            freed * MIB
        }
    }));
    two_looks();
    let mut highest_percent = 0.0f64;
    for round in 0.. {
        if brake().pauses_total > 0 {
            break;
        }
        assert!(round < 100, "nobody was braked");
        // A quarter of the limit at a time, so that the way from the Elevated line to the High one is no matter of luck.
        let mut blocks = touched(64);
        highest_percent = highest_percent.max(manager.usage().percent().unwrap());
        cache.lock().unwrap().append(&mut blocks);
    }
    let stats = brake();
    assert!(stats.worst_pause_us > 0, "{stats:?}");
    assert!(stats.at_bound_total <= stats.pauses_total, "{stats:?}");
    wait_until("a cleanup that nobody asked for", || {
        manager
            .stats()
            .last_cleanup
            .is_some_and(|report| report.reason == Some(CleanupReason::Pressure))
    });
    wait_until("the way back", || {
        manager.pressure() == PressureLevel::Normal
    });
    // All is well again: nobody waits.
    let before = brake().pauses_total;
    drop(touched(8));
    assert_eq!(brake().pauses_total, before);
    let status = fork(|| {
        two_looks();
        i32::from(brake() != BrakeStats::default())
    });
    assert_eq!(status, 0, "a child began with its parent's pauses");
}

#[test]
fn a_lock_that_the_hook_wants_is_let_go_in_time() {
    const TEST: &str = "a_lock_that_the_hook_wants_is_let_go_in_time";
    if !support::alone(TEST, &[LIMIT, PATIENT]) {
        return;
    }
    let manager = get_memory_manager();
    let cache = Arc::new(Mutex::new(Vec::new()));
    let _registration = manager.register_cleanup(CleanupFn::new("cache", {
        let cache = Arc::clone(&cache);
        move |_| std::mem::take(&mut *cache.lock().unwrap()).len() * MIB
    }));
    two_looks();
    // Blocks are allocated under the lock: the brake holds it while the hook waits for it. All of the limit at once, as pages that a
    // hook has freed between two rounds would be taken again without any rise.
    {
        let mut cache = cache.lock().unwrap();
        while brake().at_bound_total == 0 {
            assert!(cache.len() < 2 * 256, "nobody was braked for so long");
            cache.push(vec![1u8; MIB]);
        }
    }
    wait_until("a cleanup", || manager.stats().last_cleanup.is_some());
    let hooks = manager.stats().last_cleanup.unwrap().hooks;
    assert!(
        hooks
            .iter()
            .all(|hook| hook.outcome == HookOutcome::Completed),
        "{hooks:?}"
    );
}

#[test]
fn the_brake_allocates_nothing_in_the_callback() {
    if !alone("the_brake_allocates_nothing_in_the_callback") {
        return;
    }
    let allocated = || tikv_jemalloc_ctl::thread::allocatedp::read().unwrap().get();
    let mut held = filled_above_the_line();
    held.reserve(20);
    let (pauses, before) = (brake().pauses_total, allocated());
    let blocks = 20;
    for _ in 0..blocks {
        held.push(vec![1u8; MIB]);
    }
    let allocated = allocated() - before;
    assert!(brake().pauses_total > pauses, "nobody was braked");
    assert_eq!(allocated, blocks * MIB as u64);
}

#[test]
fn nothing_is_braked_below_the_line() {
    if !alone("nothing_is_braked_below_the_line") {
        return;
    }
    get_memory_manager();
    two_looks();
    // Far above as heap, far below as memory.
    let reserved: Vec<Vec<u8>> = (0..8).map(|_| vec![0u8; 1 << 30]).collect();
    let held = touched(100);
    for _ in 0..1000 {
        drop(std::hint::black_box(vec![1u8; MIB]));
    }
    two_looks();
    assert_eq!(brake(), BrakeStats::default());
    drop((reserved, held));
}

#[test]
fn a_setting_turns_it_off() {
    if support::alone(
        "a_setting_turns_it_off",
        &[LIMIT, ("PLIMSOLL_BRAKE", "off")],
    ) {
        let findings = get_memory_manager().findings();
        assert!(findings.iter().any(|finding| finding.code == "brake-off"));
        nobody_is_braked_above_the_line();
    }
}

#[test]
fn without_automatic_cleanups_there_is_nothing_to_wait_for() {
    const TEST: &str = "without_automatic_cleanups_there_is_nothing_to_wait_for";
    if support::alone(TEST, &[LIMIT, ("PLIMSOLL_AUTOMATIC_CLEANUP", "off")]) {
        nobody_is_braked_above_the_line();
    }
}

fn nobody_is_braked_above_the_line() {
    let held = filled_above_the_line();
    drop(touched(20));
    assert_eq!(brake(), BrakeStats::default());
    drop(held);
}

#[test]
fn memory_that_nobody_gives_back_is_not_waited_for_again_and_again() {
    if !alone("memory_that_nobody_gives_back_is_not_waited_for_again_and_again") {
        return;
    }
    // No hook: the first cleanup is in vain, and the line moves up to what is in use.
    let held = filled_above_the_line();
    wait_until("a cleanup in vain", || {
        get_memory_manager().stats().cleanups_total > 0
    });
    two_looks();
    let before = brake().pauses_total;
    for _ in 0..1000 {
        drop(std::hint::black_box(vec![1u8; MIB]));
    }
    let paused = brake().pauses_total - before;
    assert!(paused < 100, "{paused} of 1000 blocks waited");
    drop(held);
}

#[test]
fn what_a_cleanup_in_vain_allowed_is_over_with_the_pressure() {
    if !alone("what_a_cleanup_in_vain_allowed_is_over_with_the_pressure") {
        return;
    }
    let manager = get_memory_manager();
    two_looks();
    // On a stack: the kernel has it back when the thread ends, without any cleanup.
    let (end, told) = std::sync::mpsc::channel::<()>();
    let filler = std::thread::Builder::new().stack_size(600 * MIB);
    let filler = filler.spawn(move || {
        deep(245, &|| {
            let _ = told.recv();
        });
    });
    wait_until("a cleanup in vain at a high level", || {
        manager.pressure() >= PressureLevel::High && manager.stats().cleanups_total > 0
    });
    two_looks();
    drop(end);
    filler.unwrap().join().unwrap();
    wait_until("all is well", || {
        manager.pressure() == PressureLevel::Normal
    });
    two_looks();

    // A hook that does not come to an end until the line has been passed again: no other cleanup allows anything.
    static GATE: Mutex<()> = Mutex::new(());
    let gate = GATE.lock().unwrap();
    let _registration = manager.register_cleanup(CleanupFn::new("gate", |_| {
        drop(GATE.lock().unwrap());
    }));
    let before = brake().pauses_total;
    let held = touched(230);
    assert!(brake().pauses_total > before, "nobody waited");
    drop((gate, held));
}

#[test]
fn neither_hooks_nor_who_panics_nor_a_forked_child_waits() {
    const TEST: &str = "neither_hooks_nor_who_panics_nor_a_forked_child_waits";
    if !support::alone(TEST, &[LIMIT, PATIENT]) {
        return;
    }
    static ALLOCATED: AtomicU64 = AtomicU64::new(0);
    static IN_HOOK: AtomicBool = AtomicBool::new(false);
    // While it fills up the main thread waits itself, and that is counted when it is over.
    static IS_FULL: AtomicBool = AtomicBool::new(false);
    let manager = get_memory_manager();
    let _registration = manager.register_cleanup(CleanupFn::new("grows", |_| {
        if !IS_FULL.load(Ordering::SeqCst) {
            return;
        }
        IN_HOOK.store(true, Ordering::SeqCst);
        let before = brake().pauses_total;
        let grown = touched(16);
        ALLOCATED.fetch_add(grown.len() as u64, Ordering::SeqCst);
        assert_eq!(brake().pauses_total, before, "the runner was braked");
    }));
    let held = filled_above_the_line();
    IS_FULL.store(true, Ordering::SeqCst);
    let report = manager.force_cleanup();
    assert!(IN_HOOK.load(Ordering::SeqCst) && ALLOCATED.load(Ordering::SeqCst) >= 16);
    assert_eq!(report.hooks[0].outcome, HookOutcome::Completed);

    struct AllocatesInDrop;
    impl Drop for AllocatesInDrop {
        fn drop(&mut self) {
            let before = brake().pauses_total;
            drop(touched(4));
            assert_eq!(
                brake().pauses_total,
                before,
                "a thread that panics was braked"
            );
        }
    }
    let panicked = std::thread::spawn(|| {
        let _last = AllocatesInDrop;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());

    let status = fork(|| {
        drop(touched(8));
        // Only this starts the child's worker, and with it a brake of its own.
        i32::from(brake() != BrakeStats::default())
    });
    assert_eq!(status, 0, "a child was braked by its parent's line");
    drop(held);
}

#[test]
fn a_manager_that_is_not_installed_brakes_nobody() {
    if !alone("a_manager_that_is_not_installed_brakes_nobody") {
        return;
    }
    let held = touched(100);
    let manager = MemoryManager::builder()
        .limit(ByteSize::mib(110))
        .build()
        .unwrap();
    wait_until("a high level", || manager.pressure() >= PressureLevel::High);
    drop(touched(20));
    assert_eq!(manager.stats().brake, BrakeStats::default());
    drop(held);
}
