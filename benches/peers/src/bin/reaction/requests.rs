//! What a cleanup does to requests. An open-loop client sends so many a second, each at its time whether the one before is done
//! or not, and waits for that time by spinning; a request parses 1 KiB of JSON and puts it into a cache of 16 shards. On
//! another thread something goes on in every other second: cleanups as pressure has them come, each as soon as the cache has grown over the
//! Elevated line again; forced ones, which give everything back; only a part of them; or nothing but arithmetic, which shows what a busy
//! neighbour costs on this machine.
//!
//! Counted is a request during any part of which that something was under way. In between, the other thread fills the cache up again;
//! requests that meet only that are not counted. The latency is from the time a request was due to the time it was done.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fs::File;
use std::hint::{black_box, spin_loop};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::{ByteSize, CleanupFn, MemoryManager};
use serde_json::Value;

use crate::threads::quantile;
use crate::{Measured, Pace};

/// What the full cache takes of the limit: a hundredth less than what a cleanup aims at.
const FULL_PERCENT: u64 = 62;
const ELEVATED_PERCENT: f64 = 70.0;
/// For a cleanup that was due to have ended.
const PATIENCE: Duration = Duration::from_secs(1);
const SPACING: Duration = Duration::from_micros(500);
const SLICE: Duration = Duration::from_secs(1);
const SHARDS: u64 = 16;
const CACHED: u64 = 20_000;
const EVICTED: u64 = 2_000;
/// Out of one shard before its lock is let go.
const EVICTED_AT_ONCE: usize = 64;
const KIB: usize = 1 << 10;

/// What goes on in the other seconds.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    /// Those that nobody asked for.
    Pressure,
    /// `force_cleanup` with a hook that evicts.
    Cleanups,
    /// The eviction alone, without any manager.
    Evictions,
    /// `force_cleanup` with a hook that does nothing, after an eviction.
    Purges,
    Arithmetic,
}

const BUSY: [Beside; 5] = [
    Beside::Pressure,
    Beside::Cleanups,
    Beside::Evictions,
    Beside::Purges,
    Beside::Arithmetic,
];

#[derive(Default)]
struct Shard {
    events: HashMap<u64, Value>,
    /// The oldest first.
    order: VecDeque<u64>,
}

struct Cache {
    shards: [Mutex<Shard>; SHARDS as usize],
    next_id: AtomicU64,
    held: AtomicU64,
}

impl Cache {
    fn shard(&self, id: u64) -> std::sync::MutexGuard<'_, Shard> {
        let shard = &self.shards[(id % SHARDS) as usize];
        shard.lock().expect("nobody panics")
    }

    /// A request.
    fn handle(&self, text: &[u8]) {
        let event: Value = serde_json::from_slice(text).expect("it is JSON");
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut shard = self.shard(id);
        shard.events.insert(id, event);
        shard.order.push_back(id);
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    fn evict(&self, count: u64) {
        let mut left = count as usize;
        while left > 0 && self.held.load(Ordering::Relaxed) > 0 {
            for number in 0..SHARDS {
                let mut went = Vec::with_capacity(EVICTED_AT_ONCE);
                let mut shard = self.shard(number);
                while went.len() < EVICTED_AT_ONCE.min(left) {
                    let Some(oldest) = shard.order.pop_front() else {
                        break;
                    };
                    went.extend(shard.events.remove(&oldest));
                }
                drop(shard);
                left -= went.len();
                self.held.fetch_sub(went.len() as u64, Ordering::Relaxed);
            }
        }
    }

    fn fill(&self, text: &[u8]) {
        while self.held.load(Ordering::Relaxed) < CACHED {
            self.handle(text);
        }
    }
}

/// What both threads see.
struct Bench {
    cache: Cache,
    text: Vec<u8>,
    start: Instant,
    end: Duration,
    /// Odd while what is measured is under way, another at each beginning and end.
    phase: AtomicU64,
    hook_evicts: AtomicBool,
    runs: [AtomicU64; BUSY.len()],
    hook_calls: AtomicU64,
    hook_ns: AtomicU64,
}

impl Bench {
    /// Nothing and each of the others take turns.
    fn beside(now: Duration) -> (Beside, Duration) {
        let slice = now.as_secs() / SLICE.as_secs();
        let ends = SLICE * (slice as u32 + 1);
        let beside = if slice.is_multiple_of(2) {
            Beside::Nothing
        } else {
            BUSY[(slice / 2) as usize % BUSY.len()]
        };
        (beside, ends)
    }

    /// The other thread.
    fn run_beside(&self, manager: &MemoryManager) {
        loop {
            let now = self.start.elapsed();
            if now >= self.end {
                return;
            }
            let (beside, ends) = Self::beside(now);
            let Some(number) = BUSY.iter().position(|&busy| busy == beside) else {
                thread::sleep(ends - now);
                continue;
            };
            // Three busy threads on two processors would show nothing but that; growing over the line is filling enough.
            if !matches!(beside, Beside::Arithmetic | Beside::Pressure) {
                self.cache.fill(&self.text);
            }
            let hook_evicts = matches!(beside, Beside::Pressure | Beside::Cleanups);
            self.hook_evicts.store(hook_evicts, Ordering::Relaxed);
            let cleanups = manager.stats().cleanups_total;
            match beside {
                Beside::Pressure => self.grow_over_the_line(manager, cleanups, ends),
                Beside::Purges => self.cache.evict(EVICTED),
                _ => {}
            }
            if beside == Beside::Pressure {
                // What is measured is the hook's time, and it says itself when that is.
                wait_for_a_cleanup(manager, cleanups);
                while !self.phase.load(Ordering::Acquire).is_multiple_of(2) {
                    thread::sleep(Duration::from_micros(200));
                }
                self.runs[number].fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.phase.fetch_add(1, Ordering::AcqRel);
            match beside {
                Beside::Nothing | Beside::Pressure => {}
                Beside::Cleanups | Beside::Purges => drop(manager.force_cleanup()),
                Beside::Evictions => self.cache.evict(EVICTED),
                Beside::Arithmetic => {
                    black_box((0..4_000_000_u64).fold(1, |sum, n| black_box(sum ^ n)));
                }
            }
            self.phase.fetch_add(1, Ordering::AcqRel);
            self.runs[number].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Until the Elevated line is crossed, or a cleanup was sooner, or the second is over.
    fn grow_over_the_line(&self, manager: &MemoryManager, cleanups: u64, ends: Duration) {
        while manager.usage().percent().unwrap_or(0.0) <= ELEVATED_PERCENT
            && manager.stats().cleanups_total == cleanups
            && self.phase.load(Ordering::Acquire).is_multiple_of(2)
            && self.start.elapsed() < ends
        {
            for _ in 0..10 {
                self.cache.handle(&self.text);
            }
        }
    }

    /// The client: latencies in microseconds, by what went on; and how long it worked at each, without waiting for a processor.
    fn run_client(&self) -> [[Vec<f64>; 1 + BUSY.len()]; 2] {
        let mut latencies: [Vec<f64>; 1 + BUSY.len()] = Default::default();
        let mut work = latencies.clone();
        let waits = Waits::open();
        let mut due = self.start.elapsed();
        while due < self.end {
            // A late one meets what went on from when it was due: what begins in between has changed the phase by then.
            let before = self.phase.load(Ordering::Acquire);
            while self.start.elapsed() < due {
                spin_loop();
            }
            let waited_ns = waits.so_far_ns();
            let begun = self.phase.load(Ordering::Acquire);
            let begins = self.start.elapsed();
            self.cache.handle(&self.text);
            let done = self.start.elapsed();
            let ended = self.phase.load(Ordering::Acquire);
            let waited = Duration::from_nanos(waits.so_far_ns() - waited_ns);
            let worked = (done - begins).saturating_sub(waited);
            let micros = [done - due, worked].map(|time| time.as_nanos() as f64 / 1e3);
            let (beside, _) = Self::beside(due);
            // Something of one second reaches into the next.
            let is_one = Self::beside(done).0 == beside;
            let met = begun % 2 == 1 || begun != ended || before % 2 == 1 && due + SPACING < done;
            let number = match BUSY.iter().position(|&busy| busy == beside) {
                Some(number) if met && is_one => Some(1 + number),
                None if !met && is_one => Some(0),
                _ => None,
            };
            if let Some(number) = number {
                latencies[number].push(micros[0]);
                work[number].push(micros[1]);
            }
            due += SPACING;
        }
        [latencies, work]
    }
}

/// Asleep in between, or it would be a busy neighbour of its own.
fn wait_for_a_cleanup(manager: &MemoryManager, cleanups: u64) {
    let from = Instant::now();
    while manager.stats().cleanups_total == cleanups && from.elapsed() < PATIENCE {
        thread::sleep(Duration::from_micros(200));
    }
}

/// How long this thread was ready and had no processor: other programs' doing, and on two processors the runner's as well.
struct Waits(File);

impl Waits {
    fn open() -> Self {
        Waits(File::open("/proc/thread-self/schedstat").expect("Linux"))
    }

    fn so_far_ns(&self) -> u64 {
        let mut text = [0; 64];
        let read = self.0.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..read]).unwrap_or_default();
        let second = text.split_ascii_whitespace().nth(1);
        second.and_then(|ns| ns.parse().ok()).unwrap_or(0)
    }
}

/// An event of about 1 KiB.
fn text() -> Vec<u8> {
    let levels: Vec<[f64; 2]> = (0..30)
        .map(|n| [10_000.5 + f64::from(n), 0.125 * f64::from(n)])
        .collect();
    let note = "n".repeat(KIB / 2 - 150);
    let event = serde_json::json!({
        "id": 1, "exchange": "binance", "symbol": "SYM01-USDT", "quantity": 7, "ts_ms": 1_700_000_000_000_u64,
        "levels": levels, "note": note,
    });
    event.to_string().into_bytes()
}

pub const WITHOUT: [&str; 3] = [
    "requests without a cleanup, p50",
    "requests without a cleanup, p99",
    "requests without a cleanup, p99.9",
];
pub const PRESSURE: [&str; 3] = [
    "requests during hooks of cleanups by pressure, p50",
    "requests during hooks of cleanups by pressure, p99",
    "requests during hooks of cleanups by pressure, p99.9",
];
pub const CLEANUPS: [&str; 3] = [
    "requests during forced cleanups, p50",
    "requests during forced cleanups, p99",
    "requests during forced cleanups, p99.9",
];
pub const EVICTIONS: [&str; 3] = [
    "requests during evictions without a manager, p50",
    "requests during evictions without a manager, p99",
    "requests during evictions without a manager, p99.9",
];
pub const PURGES: [&str; 3] = [
    "requests during purges without a hook, p50",
    "requests during purges without a hook, p99",
    "requests during purges without a hook, p99.9",
];
pub const ARITHMETIC: [&str; 3] = [
    "requests beside a thread that only calculates, p50",
    "requests beside a thread that only calculates, p99",
    "requests beside a thread that only calculates, p99.9",
];
/// 99 of 100 took no more work, in the order of the above.
pub const WORK_P99: [&str; 6] = [
    "work of a request without a cleanup, p99",
    "work of a request during hooks of cleanups by pressure, p99",
    "work of a request during forced cleanups, p99",
    "work of a request during evictions without a manager, p99",
    "work of a request during purges without a hook, p99",
    "work of a request beside a thread that only calculates, p99",
];
pub const SAMPLES: &str = "requests that met a hook of a cleanup by pressure";
pub const HOOK: &str = "a hook of these cleanups, and of the forced ones";
pub const RUNS: &str = "cleanups by pressure";

pub fn measure(pace: Pace) -> Result<Measured, Box<dyn Error>> {
    let cycles: u32 = pace.of(1, 3);
    let bench = Arc::new(Bench {
        cache: Cache {
            shards: Default::default(),
            next_id: AtomicU64::new(0),
            held: AtomicU64::new(0),
        },
        text: text(),
        start: Instant::now(),
        end: SLICE * 2 * BUSY.len() as u32 * cycles,
        phase: AtomicU64::new(0),
        hook_evicts: AtomicBool::new(false),
        runs: Default::default(),
        hook_calls: AtomicU64::new(0),
        hook_ns: AtomicU64::new(0),
    });
    bench.cache.fill(&bench.text);
    let full_bytes = MemoryManager::builder().build()?.usage().rss_bytes;
    let limit = ByteSize::bytes(full_bytes * 100 / FULL_PERCENT);
    let manager = MemoryManager::builder().limit(limit).install()?;
    let hook = Arc::clone(&bench);
    let _registration = manager.register_cleanup(CleanupFn::new("events", move |_| {
        let by_pressure = Bench::beside(hook.start.elapsed()).0 == Beside::Pressure;
        if by_pressure {
            hook.phase.fetch_add(1, Ordering::AcqRel);
        }
        let from = Instant::now();
        if hook.hook_evicts.load(Ordering::Relaxed) {
            hook.cache.evict(EVICTED);
        }
        hook.hook_ns
            .fetch_add(from.elapsed().as_nanos() as u64, Ordering::Relaxed);
        hook.hook_calls.fetch_add(1, Ordering::Relaxed);
        if by_pressure {
            hook.phase.fetch_add(1, Ordering::AcqRel);
        }
    }));
    let beside = {
        let bench = Arc::clone(&bench);
        thread::spawn(move || bench.run_beside(manager))
    };
    let [mut latencies, mut work] = bench.run_client();
    beside.join().expect("it does not panic");

    let mut measured = Measured::new();
    let names = [WITHOUT, PRESSURE, CLEANUPS, EVICTIONS, PURGES, ARITHMETIC];
    for (names, of) in names.into_iter().zip(&mut latencies) {
        of.sort_by(f64::total_cmp);
        if of.is_empty() {
            return Err(format!("no {}", names[0]).into());
        }
        for (name, share) in names.into_iter().zip([0.5, 0.99, 0.999]) {
            measured.push((name, quantile(of, share)));
        }
    }
    for (name, of) in WORK_P99.into_iter().zip(&mut work) {
        of.sort_by(f64::total_cmp);
        measured.push((name, quantile(of, 0.99)));
    }
    measured.push((SAMPLES, latencies[1].len() as f64));
    measured.push((RUNS, bench.runs[0].load(Ordering::Relaxed) as f64));
    let calls = bench.hook_calls.load(Ordering::Relaxed).max(1);
    let hook_ns = bench.hook_ns.load(Ordering::Relaxed);
    measured.push((HOOK, hook_ns as f64 / 1e6 / calls as f64));
    Ok(measured)
}
