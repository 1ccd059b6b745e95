//! What the manager's threads cost while nothing happens: at Normal, where the worker looks once a second, and at Elevated,
//! where it looks ten times a second. The process holds memory and has idle threads with caches of their own, as a service has.

use std::error::Error;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::{ByteSize, MemoryManager, PressureLevel};

use crate::threads::cpu_time;
use crate::{Measured, Pace};

const LIMIT: ByteSize = ByteSize::mib(256);
const IDLE_THREADS: usize = 8;
/// After so long the ticks are as far apart as they get.
const SETTLING: Duration = Duration::from_secs(3);

pub const NORMAL_WORKER: &str = "worker at Normal, at rest, share of a core";
pub const NORMAL_OTHERS: &str = "runner and watcher at Normal, share of a core";
pub const NORMAL_LOOK: &str = "a look at Normal";
pub const ELEVATED_WORKER: &str = "worker at Elevated, ten looks a second, share of a core";
pub const ELEVATED_LOOK: &str = "a look at Elevated";

pub fn at_normal(pace: Pace) -> Result<Measured, Box<dyn Error>> {
    let manager = MemoryManager::builder().limit(LIMIT).install()?;
    let _held = hold(manager, 30.0);
    let (worker, others, look_us) = at_rest(pace, manager, PressureLevel::Normal)?;
    Ok(vec![
        (NORMAL_WORKER, worker),
        (NORMAL_OTHERS, others),
        (NORMAL_LOOK, look_us),
    ])
}

pub fn at_elevated(pace: Pace) -> Result<Measured, Box<dyn Error>> {
    let builder = MemoryManager::builder().limit(LIMIT);
    // The looks alone: what cleanups cost that are in vain is another part.
    let manager = builder.automatic_cleanup(false).install()?;
    let _held = hold(manager, 74.0);
    let (worker, _, look_us) = at_rest(pace, manager, PressureLevel::Elevated)?;
    Ok(vec![(ELEVATED_WORKER, worker), (ELEVATED_LOOK, look_us)])
}

/// The shares of a core that the worker and the others take, and microseconds per look.
fn at_rest(
    pace: Pace,
    manager: &MemoryManager,
    level: PressureLevel,
) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let (_stop, _threads) = idle_threads();
    thread::sleep(SETTLING);
    let others = || cpu_time("plimsoll-runner") + cpu_time("plimsoll-watch");
    let (from, looks) = (Instant::now(), manager.stats().looks_total);
    let (worker_before, others_before) = (cpu_time("plimsoll-worker"), others());
    thread::sleep(Duration::from_secs(pace.of(6, 20)));
    let worker = cpu_time("plimsoll-worker") - worker_before;
    let others = others() - others_before;
    let looks = manager.stats().looks_total - looks;
    let seconds = from.elapsed().as_secs_f64();
    if manager.pressure() != level || looks == 0 {
        return Err(format!("{looks} looks at {}", manager.pressure()).into());
    }
    Ok((
        worker.as_secs_f64() / seconds,
        others.as_secs_f64() / seconds,
        worker.as_secs_f64() * 1e6 / looks as f64,
    ))
}

/// Touched blocks until usage is at `percent` of the limit.
pub fn hold(manager: &MemoryManager, percent: f64) -> Vec<Vec<u8>> {
    let mut held = Vec::new();
    while manager.usage().percent().is_some_and(|now| now < percent) {
        held.push(vec![1; 64 << 10]);
    }
    held
}

/// Threads that have allocated and now wait, until the sender is dropped.
fn idle_threads() -> (Vec<Sender<()>>, Vec<thread::JoinHandle<()>>) {
    (0..IDLE_THREADS)
        .map(|_| {
            let (stop, stopped) = mpsc::channel();
            let thread = thread::spawn(move || {
                drop((0..100).map(|n| vec![1u8; n * 64]).collect::<Vec<_>>());
                let _ = stopped.recv();
            });
            (stop, thread)
        })
        .unzip()
}
