//! Hooks with a target: each is asked for what remains by measurement, whatever the one before claims, and the best come first.

#![cfg(feature = "jemalloc")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll::{
    ByteSize, CleanupFn, CleanupReason, CleanupRegistration, CleanupReport, HookOutcome,
    HookReport, MemoryManager, get_memory_manager,
};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const MIB: usize = 1 << 20;

/// RSS belongs to the process: tests that judge by it take turns.
fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

type Blocks = Arc<Mutex<Vec<Vec<u8>>>>;

/// A manager that is far below its lines until `fill` is called, and what it fills.
struct Service {
    manager: MemoryManager,
    cache: Blocks,
    asked: Arc<Mutex<Vec<(&'static str, u64)>>>,
    _registrations: Vec<CleanupRegistration>,
}

impl Service {
    fn new() -> Self {
        let rss_bytes = get_memory_manager().usage().rss_bytes;
        Service {
            manager: MemoryManager::builder()
                .limit(ByteSize::bytes(rss_bytes + 160 * MIB as u64))
                .cleanup_threshold(ByteSize::mib(159))
                .cleanup_deadline(Duration::from_secs(60))
                // One more by itself would find the hooks' work done.
                .automatic_cleanup(false)
                .build()
                .unwrap(),
            cache: Arc::default(),
            asked: Arc::new(Mutex::new(Vec::with_capacity(100))),
            _registrations: Vec::new(),
        }
    }

    /// A hook that notes what it is asked for, does this with the cache, and claims what that returns.
    fn hook(
        mut self,
        name: &'static str,
        priority: i32,
        act: impl Fn(&mut Vec<Vec<u8>>) -> u64 + Send + Sync + 'static,
    ) -> Self {
        let (asked, cache) = (Arc::clone(&self.asked), Arc::clone(&self.cache));
        let hook = CleanupFn::new(name, move |request| {
            asked.lock().unwrap().push((name, request.target_bytes));
            // A hook that panics leaves it poisoned, and whole.
            act(&mut lock(&cache))
        });
        let registration = self.manager.register_cleanup(hook.priority(priority));
        self._registrations.push(registration);
        self
    }

    /// Fills the cache up to above the High line, and returns the report of the cleanup that is asked for.
    fn overflow(&self) -> CleanupReport {
        lock(&self.cache).extend((0..150).map(|_| vec![1u8; MIB]));
        let report = self.manager.check_and_cleanup();
        assert!(!report.hooks.is_empty(), "{report}");
        report
    }

    fn asked(&self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn lock(blocks: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    blocks.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find<'a>(report: &'a CleanupReport, name: &str) -> &'a HookReport {
    report.hooks.iter().find(|hook| hook.name == name).unwrap()
}

fn empty(cache: &mut Vec<Vec<u8>>) -> u64 {
    let bytes = cache.iter().map(Vec::len).sum::<usize>() as u64;
    cache.clear();
    bytes
}

#[test]
fn a_hook_that_lies_stops_no_other_and_one_that_is_not_needed_is_spared() {
    let _turn = in_turn();
    let service = Service::new()
        .hook("liar", 3, |_| u64::MAX)
        .hook("honest", 2, empty)
        .hook("spare", 1, |_| 0);
    let report = service.overflow();
    let target_bytes = report.target_bytes.unwrap();
    assert!(target_bytes > 20 * MIB as u64, "{report:?}");
    assert_eq!(
        service.asked(),
        [("liar", target_bytes), ("honest", target_bytes)]
    );
    let liar = find(&report, "liar");
    assert_eq!(liar.claimed_bytes, Some(u64::MAX));
    assert!(liar.net_freed_bytes().unwrap() < 4096);
    let spare = find(&report, "spare");
    assert_eq!(spare.outcome, HookOutcome::NotNeeded);
    assert_eq!((spare.claimed_bytes, spare.freed_bytes), (None, None));

    // A forced one calls all of them, for all there is.
    let report = service.manager.force_cleanup();
    assert_eq!(
        (report.reason, report.target_bytes),
        (Some(CleanupReason::Forced), None)
    );
    let expected = ["liar", "honest", "spare"].map(|name| (name, u64::MAX));
    assert_eq!(service.asked(), expected);
}

#[test]
fn a_hook_that_allocates_more_than_it_frees_takes_nothing_off_the_target() {
    let _turn = in_turn();
    let service = Service::new()
        .hook("grows", 1, |cache| {
            cache.truncate(cache.len() - 2);
            cache.extend((0..8).map(|_| vec![1u8; MIB]));
            2 * MIB as u64
        })
        .hook("honest", 0, empty);
    let report = service.overflow();
    let grows = find(&report, "grows");
    assert_eq!(grows.outcome, HookOutcome::Completed);
    let net_bytes = grows.net_freed_bytes().unwrap();
    assert!(net_bytes < -5 * MIB as i64, "{report}");
    assert!(grows.to_string().contains("freed -6."), "{grows}");
    let target_bytes = report.target_bytes.unwrap();
    assert_eq!(
        service.asked(),
        [("grows", target_bytes), ("honest", target_bytes)]
    );
}

#[test]
fn each_hook_is_asked_for_what_the_ones_before_left() {
    let _turn = in_turn();
    let service = Service::new()
        .hook("first", 1, |cache| {
            cache.truncate(cache.len() - 10);
            0
        })
        .hook("second", 0, empty);
    let report = service.overflow();
    let [(_, first), (_, second)] = service.asked()[..] else {
        panic!("{report}");
    };
    let freed_bytes = find(&report, "first").net_freed_bytes().unwrap() as u64;
    assert!(freed_bytes >= 10 * MIB as u64, "{report}");
    assert_eq!(second, first - freed_bytes);
}

#[test]
fn hooks_run_in_the_order_of_what_they_gave_back_per_millisecond() {
    let _turn = in_turn();
    let service = Service::new()
        .hook("panics", 0, |_| panic!("no"))
        .hook("slow", 0, |cache| {
            // 8 MiB in at least 200 ms, against 4 MiB in what freeing takes.
            std::thread::sleep(Duration::from_millis(200));
            cache.truncate(cache.len() - 8);
            0
        })
        .hook("quick", 0, |cache| {
            let len = cache.len().saturating_sub(4);
            cache.truncate(len);
            0
        })
        .hook("last", -1, empty);
    lock(&service.cache).extend((0..20).map(|_| vec![1u8; MIB]));
    assert_eq!(
        service.manager.stats().hooks,
        ["panics", "slow", "quick", "last"]
    );
    service.manager.force_cleanup();
    assert_eq!(
        service.manager.stats().hooks,
        ["quick", "slow", "panics", "last"]
    );
    lock(&service.cache).extend((0..20).map(|_| vec![1u8; MIB]));
    service.asked();
    let report = service.manager.force_cleanup();
    let names: Vec<_> = service.asked().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["quick", "slow", "panics", "last"]);
    let reported: Vec<_> = report.hooks.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(reported, names);
}

#[test]
fn the_report_has_the_processor_time_of_the_hooks_also_of_one_that_spins_past_its_deadline() {
    let manager = MemoryManager::builder()
        .cleanup_deadline(Duration::from_millis(800))
        .build()
        .unwrap();
    let _spins = manager.register_cleanup(CleanupFn::new("spins", |_| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            std::hint::black_box(0);
        }
    }));
    let _sleeps = manager.register_cleanup(
        CleanupFn::new("sleeps", |_| std::thread::sleep(Duration::from_millis(100))).priority(1),
    );
    let report = manager.force_cleanup();
    assert_eq!(
        find(&report, "spins").outcome,
        HookOutcome::TimedOut,
        "{report}"
    );
    // Some of the 200 ms that it had, on a machine that has other things to do; and not the sleep.
    assert!(report.cpu_us > 20_000, "{report:?}");
    assert!(
        report.cpu_us < 1000 * (report.duration_ms - 90),
        "{report:?}"
    );
}
