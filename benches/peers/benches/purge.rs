//! What a cleanup gives back of freed memory, and how long it takes beside `madvise` for as many bytes.
//!
//! Bias: nothing but the freed blocks is on the heap, they were allocated in one go, and they are freed completely (except
//! in the workload about fragmentation): the best case for any allocator. No hook is registered, so a cleanup is a purge with
//! its measurements. `madvise` gets one mapping, jemalloc gives back many pieces.
//!
//! Not criterion: a round takes a second, nearly all of it to fill the memory again; what is compared is one cleanup with
//! one `madvise` right after it, and the share that came back is no time at all. So it has a loop of its own, and takes
//! the median over pairs.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::LinkedList;
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, io, ptr};

use plimsoll::{ByteSize, MemoryManager, get_memory_manager};
use plimsoll_peers::series::purge::{self, Purge};
use plimsoll_peers::{Run, median, resident_bytes};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

#[global_allocator]
static A: plimsoll::Jemalloc = plimsoll::Jemalloc;

const DEFAULT_ROUNDS: usize = 5;
const HEAP_BYTES: usize = 1 << 30;
/// When run as a test: enough to see that it works.
const TRIAL_HEAP_BYTES: usize = 16 << 20;
const PAGE_BYTES: usize = 4096;
const SMALL_BYTES: usize = 64;
/// What a list keeps beside each element: two pointers.
const LINK_BYTES: usize = 2 * size_of::<usize>();
const ONE_KEPT_IN: usize = 64;
const THREADS: usize = 64;
/// jemalloc's thread caches hold at least so many blocks of each size class (`opt.tcache_nslots_large`)..
const CACHED_BLOCKS: usize = 20;
/// .. up to this size (`opt.lg_tcache_max`), with four classes to a doubling.
const SMALLEST_CACHED_BYTES: usize = 4 << 10;
const LARGEST_CACHED_BYTES: usize = 32 << 10;
const CLASSES_PER_DOUBLING: usize = 4;

/// A list whose nodes are `SMALL_BYTES` or `PAGE_BYTES` large: the blocks hold each other, so nothing else is measured.
type Blocks<const PAYLOAD: usize> = LinkedList<[u8; PAYLOAD]>;
const SMALL_PAYLOAD: usize = SMALL_BYTES - LINK_BYTES;
const PAGE_PAYLOAD: usize = PAGE_BYTES - LINK_BYTES;

fn blocks<const PAYLOAD: usize>(bytes: usize) -> Blocks<PAYLOAD> {
    let count = bytes / (PAYLOAD + LINK_BYTES);
    (0..count).map(|_| [1; PAYLOAD]).collect()
}

/// Frees all small blocks but one in `ONE_KEPT_IN`, which it returns.
fn keep_some(bytes: usize) -> Blocks<SMALL_PAYLOAD> {
    let mut kept = Blocks::new();
    let mut freed = Blocks::new();
    for number in 0..bytes / SMALL_BYTES {
        let list = if number % ONE_KEPT_IN == 0 {
            &mut kept
        } else {
            &mut freed
        };
        list.push_back([1; SMALL_PAYLOAD]);
    }
    kept
}

/// The size classes that thread caches hold, from a page up.
fn cached_classes() -> impl Iterator<Item = usize> {
    (0..)
        .map(|class| {
            let doubling = SMALLEST_CACHED_BYTES << (class / CLASSES_PER_DOUBLING);
            doubling + doubling / CLASSES_PER_DOUBLING * (class % CLASSES_PER_DOUBLING)
        })
        .take_while(|&bytes| bytes <= LARGEST_CACHED_BYTES)
}

/// Threads that filled their caches with freed blocks and now wait, until they are dropped.
struct WaitingThreads {
    threads: Vec<JoinHandle<()>>,
    meeting: Arc<Barrier>,
}

impl WaitingThreads {
    fn start(before_waiting: fn()) -> Self {
        let meeting = Arc::new(Barrier::new(THREADS + 1));
        let threads = (0..THREADS)
            .map(|_| {
                let meeting = Arc::clone(&meeting);
                thread::spawn(move || {
                    let blocks: Vec<Vec<u8>> = cached_classes()
                        .flat_map(|bytes| (0..CACHED_BLOCKS).map(move |_| vec![1; bytes]))
                        .collect();
                    // All hold their blocks at once, or one would use again what another freed.
                    meeting.wait();
                    drop(blocks);
                    before_waiting();
                    meeting.wait();
                    meeting.wait();
                })
            })
            .collect();
        // All hold, all have freed; the third time all leave.
        meeting.wait();
        meeting.wait();
        WaitingThreads { threads, meeting }
    }
}

impl Drop for WaitingThreads {
    fn drop(&mut self) {
        self.meeting.wait();
        for thread in self.threads.drain(..) {
            thread.join().expect("waiting does not panic");
        }
    }
}

/// How long `madvise` needs to give back `bytes` that were written to.
fn time_madvise(bytes: usize) -> io::Result<Duration> {
    // SAFETY: a private anonymous mapping at an address of the kernel's choice touches nothing that exists.
    let mapping = unsafe {
        mm::mmap_anonymous(
            ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    }?;
    for offset in (0..bytes).step_by(PAGE_BYTES) {
        // SAFETY: inside of the writable mapping just made, which nobody else knows. Volatile, because nobody reads it.
        unsafe { mapping.cast::<u8>().add(offset).write_volatile(1) };
    }
    let started = Instant::now();
    // SAFETY: the range is the mapping, and nothing refers into it.
    unsafe { mm::madvise(mapping, bytes, Advice::LinuxDontNeed) }?;
    let duration = started.elapsed();
    // SAFETY: the range is the mapping, and it is not used any more.
    unsafe { mm::munmap(mapping, bytes) }?;
    Ok(duration)
}

/// One cleanup, and the `madvise` right after it.
struct Pair {
    /// What the freed blocks still held when the cleanup began.
    freed_bytes: u64,
    returned_bytes: u64,
    cleanup: Duration,
    madvise: Duration,
}

impl Pair {
    fn returned(&self) -> f64 {
        self.returned_bytes as f64 / self.freed_bytes.max(1) as f64
    }

    fn times_madvise(&self) -> f64 {
        self.cleanup.as_secs_f64() / self.madvise.as_secs_f64()
    }
}

/// Measures a workload: `fill_and_free` leaves freed memory behind, and returns what has to stay until the cleanup is over.
struct Bench {
    manager: &'static MemoryManager,
    run: Option<Run>,
    rounds: usize,
    heap_bytes: usize,
}

impl Bench {
    fn workload<Kept>(
        &self,
        series: Purge,
        fill_and_free: impl Fn(usize) -> Kept,
    ) -> io::Result<()> {
        let pairs = (0..self.rounds)
            .map(|_| self.pair(&fill_and_free))
            .collect::<io::Result<Vec<Pair>>>()?;
        for pair in &pairs {
            println!(
                "{}: {} of {} in {:?}; madvise {:?}",
                series.returned,
                ByteSize::bytes(pair.returned_bytes),
                ByteSize::bytes(pair.freed_bytes),
                pair.cleanup,
                pair.madvise,
            );
        }
        if let Some(run) = &self.run {
            run.record(series.returned, median(pairs.iter().map(Pair::returned)))?;
            run.record(
                series.times_madvise,
                median(pairs.iter().map(Pair::times_madvise)),
            )?;
        }
        Ok(())
    }

    fn pair<Kept>(&self, fill_and_free: impl Fn(usize) -> Kept) -> io::Result<Pair> {
        // What an earlier round left is not this one's.
        self.manager.force_cleanup();
        let empty_bytes = resident_bytes();
        let kept = fill_and_free(self.heap_bytes);
        let before_bytes = resident_bytes();
        let started = Instant::now();
        self.manager.force_cleanup();
        let cleanup = started.elapsed();
        let returned_bytes = before_bytes.saturating_sub(resident_bytes());
        drop(kept);
        let pages = (returned_bytes as usize / PAGE_BYTES).max(1);
        Ok(Pair {
            freed_bytes: before_bytes.saturating_sub(empty_bytes),
            returned_bytes,
            cleanup,
            madvise: time_madvise(pages * PAGE_BYTES)?,
        })
    }
}

/// `--rounds N`; cargo adds `--bench` when this is not run as a test.
fn bench_of_arguments() -> Result<Bench, Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (mut rounds, mut measuring) = (DEFAULT_ROUNDS, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => rounds = arguments.next().ok_or("--rounds needs a number")?.parse()?,
            "--bench" => measuring = true,
            // Filters and switches are for criterion and the test harness.
            _ => {}
        }
    }
    Ok(Bench {
        manager: get_memory_manager(),
        run: Run::current().filter(|_| measuring),
        rounds: if measuring { rounds.max(1) } else { 1 },
        heap_bytes: if measuring {
            HEAP_BYTES
        } else {
            TRIAL_HEAP_BYTES
        },
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bench = bench_of_arguments()?;
    bench.workload(purge::PAGES, |bytes| drop(blocks::<PAGE_PAYLOAD>(bytes)))?;
    bench.workload(purge::SMALL, |bytes| drop(blocks::<SMALL_PAYLOAD>(bytes)))?;
    bench.workload(purge::FRAGMENTED, keep_some)?;
    bench.workload(purge::IDLE_THREADS, |_| {
        WaitingThreads::start(plimsoll::thread_idle)
    })?;
    bench.workload(purge::SILENT_THREADS, |_| WaitingThreads::start(|| ()))?;
    Ok(())
}
