//! A process that does nothing but malloc and free through one allocator. The benches start it: `instructions` under
//! callgrind, `pair_time` once per allocator, and each of these then waits for its turn.
//!
//! ```text
//! pairs meter                                 1 or 0: does a scope see a peak that was gone before anybody looked?
//! pairs count "tracking-allocator" 64 1000    so many pairs of so many bytes, to be counted by callgrind
//! pairs time "tracking-allocator"             for each line `64 1000 2`: the nanoseconds per pair on so many threads
//! ```
#![allow(clippy::print_stdout, reason = "a program for other programs")]

mod allocators;
mod batching;

use std::alloc::Layout;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::{env, iter};

use plimsoll::MemoryLimit;
use plimsoll_peers::{Allocator, on_threads, timed};

use crate::allocators::{in_full_heap, inside, install};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// One in so many pairs runs before it counts, so that caches are filled and regions mapped.
const WARM_UP: u64 = 8;

/// What the probe for the meter holds for a moment, in pieces that no interval misses.
const PROBE_BYTES: u64 = 8 << 20;
const PIECE_BYTES: usize = 64 << 10;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    if mode == "meter" {
        println!("{}", u8::from(meter_runs()));
        return Ok(());
    }
    let name = arguments.next().unwrap_or_default();
    let allocator =
        Allocator::named(&name).ok_or_else(|| format!("no allocator is called {name:?}"))?;
    install(allocator);
    match mode.as_str() {
        "count" => {
            let [bytes, pairs] = numbers(arguments)?;
            let layout = layout(bytes)?;
            ready(allocator, layout, pairs, || {
                plimsoll_counted(allocator, layout, pairs);
            });
            Ok(())
        }
        "time" => io::stdin().lines().try_for_each(|job| {
            let [bytes, pairs, threads] = numbers(job?.split(' ').map(str::to_owned))?;
            let nanos = time(allocator, layout(bytes)?, pairs, threads.try_into()?);
            println!("{nanos}");
            Ok(io::stdout().flush()?)
        }),
        _ => Err(format!("no mode is called {mode:?}").into()),
    }
}

fn numbers<const N: usize>(texts: impl Iterator<Item = String>) -> Result<[u64; N], Failure> {
    let numbers: Vec<u64> = texts.map(|text| text.parse()).collect::<Result<_, _>>()?;
    <[u64; N]>::try_from(numbers).map_err(|found| format!("{found:?} are not {N} numbers").into())
}

fn layout(bytes: u64) -> Result<Layout, Failure> {
    Ok(Layout::from_size_align(
        bytes.try_into()?,
        align_of::<usize>(),
    )?)
}

fn meter_runs() -> bool {
    let scope = MemoryLimit::mib(100).enter();
    let pieces = PROBE_BYTES as usize / PIECE_BYTES;
    let held: Vec<Vec<u8>> = iter::repeat_with(|| Vec::with_capacity(PIECE_BYTES))
        .take(pieces)
        .collect();
    drop(black_box(held));
    scope.finish().peak_bytes > PROBE_BYTES / 2
}

/// Calls `work` where all is as it will be for these pairs.
fn ready<R>(allocator: Allocator, layout: Layout, pairs: u64, work: impl FnOnce() -> R) -> R {
    inside(allocator, || {
        in_full_heap(allocator, layout, || {
            allocators::pairs(allocator, layout, pairs.div_ceil(WARM_UP));
            work()
        })
    })
}

/// What callgrind counts. It knows it by this name.
// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
#[inline(never)]
fn plimsoll_counted(allocator: Allocator, layout: Layout, pairs: u64) {
    allocators::pairs(allocator, layout, pairs);
    // Or the call above would be a jump, and this function over before it began.
    black_box(());
}

/// Nanoseconds per pair.
fn time(allocator: Allocator, layout: Layout, pairs: u64, threads: u32) -> f64 {
    let time = on_threads(threads, |start| {
        ready(allocator, layout, pairs, || {
            start.wait();
            timed(|| allocators::pairs(allocator, layout, pairs))
        })
    });
    time.as_nanos() as f64 / pairs as f64
}
