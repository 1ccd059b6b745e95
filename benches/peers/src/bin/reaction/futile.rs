//! A process whose memory is simply in use: it sits at 85 % of its limit with a hook that frees nothing and costs 2 ms each time.
//! What cleanups take of a core then, and what a thread that allocates and frees achieves there, beside the same at 50 %.

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::{ByteSize, CleanupFn, CleanupRegistration, MemoryManager};
use rustix::time::{ClockId, clock_gettime};

use crate::threads::cpu_time;
use crate::worker::hold;
use crate::{Measured, Pace};

const LIMIT: ByteSize = ByteSize::mib(256);
const IN_USE_PERCENT: f64 = 85.0;
const HALF_PERCENT: f64 = 50.0;
const HOOK_COST: Duration = Duration::from_millis(2);
const CHURNED_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

pub const COST: &str = "cleanups in vain at 85 %, share of a core";
pub const ALL_COST: &str = "the same and the worker";
pub const CLEANUPS: &str = "cleanups in vain a second";
pub const CHURN_50: &str = "churn at 50 %, MiB blocks a second";
pub const CHURN_85: &str = "churn at 85 %, MiB blocks a second";
pub const CHURN_PAGES_50: &str = "churn at 50 %, a byte to each page, MiB blocks a second";
pub const CHURN_PAGES_85: &str = "churn at 85 %, a byte to each page, MiB blocks a second";
pub const CHURN_WORKER_50: &str = "worker at Normal beside the churn, share of a core";
pub const CHURN_THREADS_85: &str = "worker and runner beside the churn at 85 %, share of a core";
pub const CHURN_PAUSED_85: &str = "of the churn's time at 85 % in the brake";

/// The manager, and the registration of a hook that is in vain.
fn manager() -> Result<(&'static MemoryManager, CleanupRegistration), Box<dyn Error>> {
    let manager = MemoryManager::builder().limit(LIMIT).install()?;
    let hook = CleanupFn::new("in vain", |_| {
        let until = thread_time() + HOOK_COST;
        while thread_time() < until {}
        0u64
    });
    let registration = manager.register_cleanup(hook);
    Ok((manager, registration))
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .expect("processor time is never negative")
}

pub fn cost(pace: Pace) -> Result<Measured, Box<dyn Error>> {
    let (manager, _registration) = manager()?;
    let _held = hold(manager, IN_USE_PERCENT);
    thread::sleep(Duration::from_secs(1));
    let (from, cleanups) = (Instant::now(), manager.stats().cleanups_total);
    let (runner, worker) = (cpu_time("plimsoll-runner"), cpu_time("plimsoll-worker"));
    thread::sleep(Duration::from_secs(pace.of(8, 20)));
    let runner = cpu_time("plimsoll-runner") - runner;
    let worker = cpu_time("plimsoll-worker") - worker;
    let cleanups = manager.stats().cleanups_total - cleanups;
    let seconds = from.elapsed().as_secs_f64();
    Ok(vec![
        (COST, runner.as_secs_f64() / seconds),
        (ALL_COST, (runner + worker).as_secs_f64() / seconds),
        (CLEANUPS, cleanups as f64 / seconds),
    ])
}

pub fn churn(pace: Pace, in_use: bool) -> Result<Measured, Box<dyn Error>> {
    let (manager, _registration) = manager()?;
    let percent = if in_use { IN_USE_PERCENT } else { HALF_PERCENT };
    let _held = hold(manager, percent);
    thread::sleep(Duration::from_secs(1));
    let (worker, runner) = (cpu_time("plimsoll-worker"), cpu_time("plimsoll-runner"));
    let paused_ms = manager.stats().brake.paused_ms_total;
    let (from, time) = (Instant::now(), Duration::from_secs(pace.of(3, 10)));
    let pages = rate(time, || {
        let mut block: Vec<u8> = Vec::with_capacity(CHURNED_BYTES);
        for page in block.spare_capacity_mut().chunks_mut(PAGE_BYTES) {
            page[0].write(1);
        }
        block
    });
    let filled = rate(time, || vec![1; CHURNED_BYTES]);
    let seconds = from.elapsed().as_secs_f64();
    let worker = (cpu_time("plimsoll-worker") - worker).as_secs_f64() / seconds;
    let runner = (cpu_time("plimsoll-runner") - runner).as_secs_f64() / seconds;
    let paused_ms = manager.stats().brake.paused_ms_total - paused_ms;
    Ok(if in_use {
        vec![
            (CHURN_85, filled),
            (CHURN_PAGES_85, pages),
            (CHURN_THREADS_85, worker + runner),
            (CHURN_PAUSED_85, paused_ms as f64 / 1e3 / seconds),
        ]
    } else {
        vec![
            (CHURN_50, filled),
            (CHURN_PAGES_50, pages),
            (CHURN_WORKER_50, worker),
        ]
    })
}

/// Blocks a second.
fn rate(time: Duration, block: impl Fn() -> Vec<u8>) -> f64 {
    let (from, mut blocks) = (Instant::now(), 0);
    while from.elapsed() < time {
        drop(black_box(block()));
        blocks += 1;
    }
    f64::from(blocks) / from.elapsed().as_secs_f64()
}
