//! How far past its line a load is when somebody notices: scopes, beside threads that read RSS now and then.
//!
//! Two threads allocate as fast as they can, write to what they allocate, keep it, and stop when they are told. What is kept
//! is the bytes past the line at that moment, as the threads count them themselves; for scopes, what the crossing says,
//! if that is more. Nothing here is judged by time.
//!
//! Bias: nothing but allocation is the worst case for whoever looks by the clock. How far a poller lets it come is how fast
//! this machine hands out pages; where memory was full before the next look, which ends a round here and a process
//! elsewhere, the figure is a lower bound. Pollers have their first look at a different part of their period in each round,
//! and nothing else to do. The line moves from round to round, so that it is not always at the same place of an interval.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{env, io, thread};

use plimsoll::{ByteSize, MemoryLimit, MemoryManager, Site, get_memory_manager};
use plimsoll_peers::series::overshoot::{ARMS, Arm, INTERVAL, THREADS, Watcher};
use plimsoll_peers::{Run, median};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Where the line is for each thread in the first round, and how much higher in each one after that.
const LINE_BYTES: u64 = 32 << 20;
const LINE_STEP_BYTES: u64 = 37 << 10;
/// Where a thread stops if nobody tells it.
const FULL_BYTES: u64 = 512 << 20;

/// How many times each watcher is tried. Scopes are done in a few milliseconds; pollers take most of the time.
#[derive(Clone, Copy)]
struct Rounds {
    scopes: u32,
    pollers: u32,
}

const ROUNDS: Rounds = Rounds {
    scopes: 60,
    pollers: 12,
};
const QUICK_ROUNDS: Rounds = Rounds {
    scopes: 16,
    pollers: 3,
};
/// When run as a test: enough to see that it works.
const TRIAL_ROUNDS: Rounds = Rounds {
    scopes: 1,
    pollers: 1,
};

static SHARED: Site = Site::new("both threads");
static OWN: [Site; THREADS as usize] = [Site::new("one thread"), Site::new("the other")];

/// What one thread holds by its own count, away from the other's.
#[repr(align(128))]
#[derive(Default)]
struct Held(AtomicU64);

impl Held {
    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is to be filled, and by whom.
struct Load {
    block_bytes: usize,
    /// Per thread.
    line_bytes: u64,
    held: [Held; THREADS as usize],
}

impl Load {
    fn new(block: ByteSize, round: u32) -> Load {
        Load {
            block_bytes: block.as_u64() as usize,
            line_bytes: LINE_BYTES + u64::from(round) * LINE_STEP_BYTES,
            held: Default::default(),
        }
    }

    /// Calls `work` on both threads, each with its number and the list for its blocks, which is no part of the load.
    fn on_threads<R: Send>(&self, work: impl Fn(usize, &mut Vec<Vec<u8>>) -> R + Sync) -> Vec<R> {
        let (work, most_blocks) = (&work, FULL_BYTES as usize / self.block_bytes);
        thread::scope(|scope| {
            let running: Vec<_> = (0..self.held.len())
                .map(|number| {
                    scope.spawn(move || work(number, &mut Vec::with_capacity(most_blocks)))
                })
                .collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("filling does not panic"))
                .collect()
        })
    }

    /// Fills until `is_noticed`; whether it was, before all was full.
    fn fill(
        &self,
        number: usize,
        blocks: &mut Vec<Vec<u8>>,
        is_noticed: impl Fn() -> bool,
    ) -> bool {
        while blocks.len() < blocks.capacity() {
            if is_noticed() {
                return true;
            }
            blocks.push(vec![1; self.block_bytes]);
            let held_bytes = (blocks.len() * self.block_bytes) as u64;
            self.held[number].0.store(held_bytes, Ordering::Relaxed);
        }
        false
    }

    fn held_bytes(&self) -> u64 {
        self.held.iter().map(Held::bytes).sum()
    }

    fn lines_bytes(&self) -> u64 {
        self.line_bytes * THREADS
    }
}

/// How a round ended.
#[derive(Clone, Copy)]
struct Noticed {
    overshoot_bytes: u64,
    in_time: bool,
}

/// Both threads work for one scope, whose limit is the sum of their lines.
fn shared_scope(load: &Load) -> Noticed {
    let seen_before = SHARED.exceeded_total();
    let is_noticed = || SHARED.exceeded_total() > seen_before;
    let scope = MemoryLimit::bytes(load.lines_bytes()).at(&SHARED).enter();
    let handle = scope.handle();
    let counted: Vec<u64> = load.on_threads(|number, blocks| {
        handle.attach(|| {
            load.fill(number, blocks, is_noticed);
            let counted_bytes = load.held_bytes();
            blocks.clear();
            counted_bytes
        })
    });
    // The first to see it saw less than the other, or as much.
    let counted_bytes = counted.into_iter().min().unwrap_or(0);
    noticed_at(&SHARED, is_noticed(), counted_bytes, load.lines_bytes())
}

/// Each thread has its own scope and line; of the two the one that went farther.
fn own_scopes(load: &Load) -> Noticed {
    let ends = load.on_threads(|number, blocks| {
        let site = &OWN[number];
        let seen_before = site.exceeded_total();
        let is_noticed = || site.exceeded_total() > seen_before;
        let _scope = MemoryLimit::bytes(load.line_bytes).at(site).enter();
        load.fill(number, blocks, is_noticed);
        let counted_bytes = load.held[number].bytes();
        blocks.clear();
        noticed_at(site, is_noticed(), counted_bytes, load.line_bytes)
    });
    Noticed {
        overshoot_bytes: ends
            .iter()
            .map(|end| end.overshoot_bytes)
            .max()
            .unwrap_or(0),
        in_time: ends.iter().all(|end| end.in_time),
    }
}

/// By the crossing or by the threads' count, whichever says more.
fn noticed_at(site: &Site, in_time: bool, counted_bytes: u64, line_bytes: u64) -> Noticed {
    let told_bytes = site
        .last_crossing()
        .map_or(0, |crossing| crossing.used_bytes);
    Noticed {
        overshoot_bytes: told_bytes.max(counted_bytes).saturating_sub(line_bytes),
        in_time,
    }
}

/// A third thread reads RSS: first after `phase` of a period.
fn poller(manager: &MemoryManager, load: &Load, period: Duration, phase: f64) -> Noticed {
    let base_bytes = manager.usage().rss_bytes;
    let is_noticed = &AtomicBool::new(false);
    let watch = || {
        thread::sleep(period.mul_f64(phase));
        while manager.usage().rss_bytes.saturating_sub(base_bytes) <= load.lines_bytes() {
            thread::sleep(period);
        }
        let counted_bytes = load.held_bytes();
        is_noticed.store(true, Ordering::Relaxed);
        counted_bytes
    };
    thread::scope(|scope| {
        let watching = scope.spawn(watch);
        let in_time = load.on_threads(|number, blocks| {
            let in_time = load.fill(number, blocks, || is_noticed.load(Ordering::Relaxed));
            while !is_noticed.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            in_time
        });
        let counted_bytes = watching.join().expect("watching does not panic");
        Noticed {
            overshoot_bytes: counted_bytes.saturating_sub(load.lines_bytes()),
            in_time: in_time.into_iter().all(|in_time| in_time),
        }
    })
}

fn measure(manager: &MemoryManager, arm: &Arm, rounds: Rounds) -> Vec<Noticed> {
    let rounds = match arm.watcher {
        Watcher::Poller(_) => rounds.pollers,
        Watcher::SharedScope | Watcher::OwnScopes => rounds.scopes,
    };
    (0..rounds)
        .map(|round| {
            // All pages are new to each round, and RSS grows by all that is filled.
            manager.force_cleanup();
            let load = Load::new(arm.block, round);
            match arm.watcher {
                Watcher::SharedScope => shared_scope(&load),
                Watcher::OwnScopes => own_scopes(&load),
                Watcher::Poller(millis) => {
                    let phase = (f64::from(round) + 0.5) / f64::from(rounds);
                    poller(manager, &load, Duration::from_millis(millis), phase)
                }
            }
        })
        .collect()
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let is_set = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let measuring = is_set("--bench");
    let run = Run::current().filter(|_| measuring);
    let rounds = match (measuring, is_set("--quick")) {
        (false, _) => TRIAL_ROUNDS,
        (true, true) => QUICK_ROUNDS,
        (true, false) => ROUNDS,
    };
    let manager = get_memory_manager();
    for arm in &ARMS {
        let ends = measure(manager, arm, rounds);
        let bytes = || ends.iter().map(|end| end.overshoot_bytes as f64);
        let too_late = ends.iter().filter(|end| !end.in_time).count() as f64 / ends.len() as f64;
        let (median, worst) = (median(bytes()), bytes().fold(0.0, f64::max));
        let per_thread = |bytes: f64| bytes / (INTERVAL.as_u64() * arm.threads_per_line()) as f64;
        println!(
            "{}: {} ({:.2} intervals per thread), median {} ({:.2}); full in {:.0} %",
            arm.worst,
            ByteSize::bytes(worst as u64),
            per_thread(worst),
            ByteSize::bytes(median as u64),
            per_thread(median),
            too_late * 100.0,
        );
        if let Some(run) = &run {
            run.record(arm.median, median)?;
            run.record(arm.worst, worst)?;
            run.record(arm.too_late, too_late)?;
        }
    }
    Ok(())
}
