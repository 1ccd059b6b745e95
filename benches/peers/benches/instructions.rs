//! What metering costs in instructions per malloc and free, size by size, beside its peers: the curve that a noisy machine
//! can't bend. How the allocators are called, and the bias of that, is told in `src/bin/pairs/allocators.rs`.
//!
//! callgrind counts the measured thread inside of one function, so neither start-up nor a manager's worker is in it. It counts
//! what runs in user space: a system call is one instruction to it, a locked addition no dearer than another.
//! `benches/pair_time.rs` has the other half.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::{env, fs, io, thread};

use plimsoll::ByteSize;
use plimsoll_peers::series::curve;
use plimsoll_peers::{Allocator, Run};

const PAIRS: &str = env!("CARGO_BIN_EXE_pairs");
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// What one count allocates at least, so that 64 intervals of the meter pass: one more or less changes nothing.
const COUNTED_BYTES: u64 = 16 << 20;
/// jemalloc looks after its caches by the clock; in so many pairs that is a thousandth more or less.
const FEWEST_PAIRS: u64 = 1 << 15;
/// What its caches do not hold costs ten times as much and has less of that.
const LARGEST_CACHED: ByteSize = ByteSize::kib(32);
const FEWEST_LARGE_PAIRS: u64 = 1 << 12;
/// When run as a test: enough to see that it works.
const TRIAL_PAIRS: u64 = 64;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let is_set = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if !has_valgrind() {
        eprintln!("valgrind is not here: the figures in instructions are left out");
        return Ok(());
    }
    let measuring = is_set("--bench");
    let run = Run::current().filter(|_| measuring);
    let sizes = curve::sizes(is_set("--quick") || !measuring);
    let jobs = sizes
        .into_iter()
        .flat_map(|size| Allocator::ALL.map(|allocator| (size, allocator)));

    // A count is the same however many run, so all processors may count.
    let jobs = &Mutex::new(jobs);
    let next = || jobs.lock().expect("taking a job does not panic").next();
    let (next, run) = (&next, &run);
    let counting = move |worker: usize| -> io::Result<()> {
        let counts = Path::new(SCRATCH).join(format!("callgrind.{worker}"));
        while let Some((size, allocator)) = next() {
            let pairs = if measuring { pairs(size) } else { TRIAL_PAIRS };
            let series = curve::instructions(allocator, size);
            let per_pair = count(allocator, size, pairs, &counts)? as f64 / pairs as f64;
            println!("{series}: {per_pair:.2}");
            if let Some(run) = run {
                run.record(&series, per_pair)?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..thread::available_parallelism()?.get())
            .map(|worker| scope.spawn(move || counting(worker)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("counting does not panic"))
    })
}

fn has_valgrind() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

fn pairs(size: ByteSize) -> u64 {
    let fewest = if size <= LARGEST_CACHED {
        FEWEST_PAIRS
    } else {
        FEWEST_LARGE_PAIRS
    };
    (COUNTED_BYTES / size.as_u64()).max(fewest)
}

/// The instructions of so many pairs. A process of its own for each size, as others leave free regions behind.
fn count(allocator: Allocator, size: ByteSize, pairs: u64, counts: &Path) -> io::Result<u64> {
    // Neither the environment nor the layout of the address space may differ from run to run.
    let output = Command::new("setarch")
        .args(["-R", "valgrind", "--tool=callgrind"])
        .arg("--toggle-collect=plimsoll_counted")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .args([PAIRS, "count", allocator.name()])
        .args([size.as_u64(), pairs].map(|number| number.to_string()))
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .output()?;
    if !output.status.success() {
        let (name, told) = (allocator.name(), String::from_utf8_lossy(&output.stderr));
        return Err(io::Error::other(format!(
            "callgrind of {name}, {size}: {}\n{told}",
            output.status
        )));
    }
    let text = fs::read_to_string(counts)?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok());
    total
        .filter(|&instructions| instructions > 0)
        .ok_or_else(|| io::Error::other("callgrind did not count the pairs"))
}
