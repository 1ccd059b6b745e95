//! From crossing the Elevated line to the first byte that the hook frees.
//!
//! The thread that allocates sees the crossing itself: after each touched block of 64 KiB it asks `usage()`. The kernel counts
//! RSS in batches of 32 pages per processor, for us and for the worker alike. It begins at Normal, at a random distance below the
//! line after a random rest, grows at one of several speeds, and goes on growing at that speed until the hook has freed
//! something; at the speed called `stops` it stops right at the crossing, and nothing tells the worker but its own ticks.
//! Where the forecast was so early that the hook freed something before the line was crossed, that crossing is left out.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::{ByteSize, CleanupFn, CleanupRequest, MemoryManager, PressureLevel, Usage};

use crate::threads::{Spinning, quantile};
use crate::{Measured, Pace};

const LIMIT: ByteSize = ByteSize::mib(256);
const BLOCK_BYTES: usize = 64 << 10;
const LINE_PERCENT: f64 = 70.0;
/// From where on it grows in steps: at most so far below the line.
const APPROACH_BYTES: u64 = 4 << 20;
const LONGEST_REST_MS: u64 = 300;
/// What the hook never gives back, or a cleanup would be in vain.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two blocks, and whether it goes on after the crossing.
const SPEEDS: [(Duration, bool); 4] = [
    (Duration::ZERO, true),
    (Duration::from_micros(300), true),
    (Duration::from_millis(3), true),
    (Duration::ZERO, false),
];
const STOPS: usize = 3;

struct Cache {
    start: Instant,
    blocks: Mutex<Vec<Vec<u8>>>,
    /// The hook's first free since this was 0.
    freed_ns: AtomicU64,
}

impl Cache {
    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64 + 1
    }

    fn grow(&self) {
        let block = vec![1; BLOCK_BYTES];
        self.blocks.lock().expect("nobody panics").push(block);
    }

    fn evict(&self, request: &CleanupRequest) -> u64 {
        let mut freed_bytes = 0;
        while freed_bytes < request.target_bytes && Instant::now() < request.deadline {
            let block = self.blocks.lock().expect("nobody panics").pop();
            let Some(block) = block else { break };
            freed_bytes += block.len() as u64;
            drop(block);
            let now_ns = self.now_ns();
            // Only the first.
            let _ = self
                .freed_ns
                .compare_exchange(0, now_ns, Ordering::AcqRel, Ordering::Relaxed);
        }
        freed_bytes
    }
}

fn left_bytes(usage: &Usage) -> u64 {
    let line_bytes = (LIMIT.as_u64() as f64 * LINE_PERCENT / 100.0) as u64;
    line_bytes.saturating_sub(usage.used_bytes)
}

fn is_above(usage: &Usage) -> bool {
    usage
        .percent()
        .is_some_and(|percent| percent > LINE_PERCENT)
}

pub fn measure(pace: Pace, busy: bool) -> Result<Measured, Box<dyn Error>> {
    let crossings = pace.of(24, 240);
    let manager = MemoryManager::builder().limit(LIMIT).install()?;
    let cache = Arc::new(Cache {
        start: Instant::now(),
        blocks: Mutex::new(Vec::with_capacity(1 << 14)),
        freed_ns: AtomicU64::new(0),
    });
    let hook = Arc::clone(&cache);
    let _registration =
        manager.register_cleanup(CleanupFn::new("blocks", move |request| hook.evict(request)));
    let _spinning = busy.then(Spinning::start);

    let mut delays = SPEEDS.map(|_| Vec::new());
    let mut random = Random(42);
    for number in 0..crossings {
        let speed = number % SPEEDS.len();
        delays[speed].extend(cross(manager, &cache, SPEEDS[speed], &mut random)?);
    }
    let mut growing: Vec<f64> = delays[..STOPS].concat();
    growing.sort_by(f64::total_cmp);
    for of in &mut delays {
        of.sort_by(f64::total_cmp);
    }
    let [fast, medium, slow, stops] = &delays;
    let names = if busy { BUSY } else { IDLE };
    let values = [
        quantile(&growing, 0.5),
        quantile(&growing, 0.99),
        quantile(&growing, 1.0),
        quantile(fast, 0.99),
        quantile(medium, 0.99),
        quantile(slow, 0.99),
        quantile(stops, 0.5),
        quantile(stops, 1.0),
    ];
    Ok(names.into_iter().zip(values).collect())
}

macro_rules! names {
    ($processors:literal) => {
        [
            concat!("first reclaimed byte, processors ", $processors, ", p50"),
            concat!("first reclaimed byte, processors ", $processors, ", p99"),
            concat!("first reclaimed byte, processors ", $processors, ", worst"),
            concat!(
                "first reclaimed byte, processors ",
                $processors,
                ", no pause between blocks, p99"
            ),
            concat!(
                "first reclaimed byte, processors ",
                $processors,
                ", about 200 MiB/s, p99"
            ),
            concat!(
                "first reclaimed byte, processors ",
                $processors,
                ", about 20 MiB/s, p99"
            ),
            concat!(
                "first reclaimed byte, processors ",
                $processors,
                ", stops at the line, p50"
            ),
            concat!(
                "first reclaimed byte, processors ",
                $processors,
                ", stops at the line, worst"
            ),
        ]
    };
}

pub const IDLE: [&str; 8] = names!("idle");
pub const BUSY: [&str; 8] = names!("busy");

/// Once from Normal over the line; milliseconds from the crossing to the first free, `None` when that came first.
fn cross(
    manager: &MemoryManager,
    cache: &Cache,
    (pause, goes_on): (Duration, bool),
    random: &mut Random,
) -> Result<Option<f64>, Box<dyn Error>> {
    calm(manager)?;
    let begin_bytes = random.below(APPROACH_BYTES - (1 << 20)) + (1 << 20);
    while left_bytes(&manager.usage()) > begin_bytes {
        cache.grow();
    }
    thread::sleep(Duration::from_millis(random.below(LONGEST_REST_MS)));
    cache.freed_ns.store(0, Ordering::Release);
    let (crossed_ns, from) = loop {
        cache.grow();
        // Before it is asked: the moment of the step, not of the look.
        let grown_ns = cache.now_ns();
        if is_above(&manager.usage()) {
            break (grown_ns, Instant::now());
        }
        if cache.freed_ns.load(Ordering::Acquire) != 0 {
            return Ok(None);
        }
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    };
    loop {
        let freed_ns = cache.freed_ns.load(Ordering::Acquire);
        if freed_ns != 0 {
            // The worker may have read the step before this thread did.
            return Ok(Some(freed_ns.saturating_sub(crossed_ns) as f64 / 1e6));
        }
        if from.elapsed() > PATIENCE {
            return Err(format!("no hook: {}", manager.usage()).into());
        }
        match (goes_on, pause.is_zero()) {
            (true, true) => cache.grow(),
            (true, false) => {
                thread::sleep(pause);
                cache.grow();
            }
            (false, _) => thread::sleep(Duration::from_micros(100)),
        }
    }
}

/// Waits until the cleanup is over and all is Normal.
fn calm(manager: &MemoryManager) -> Result<(), Box<dyn Error>> {
    let from = Instant::now();
    while manager.pressure() != PressureLevel::Normal || is_above(&manager.usage()) {
        if from.elapsed() > PATIENCE {
            return Err(format!("never Normal again: {}", manager.usage()).into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (n ^ (n >> 31)) % end
    }
}
