//! What the library itself adds to the RSS of a process: before `install`, and a second after. A process of its own, because
//! only the first installation maps anything.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::thread;
use std::time::Duration;

use plimsoll::{ByteSize, MemoryManager};
use plimsoll_peers::{Run, resident_bytes, series};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Two ticks of the worker: all it reads has been read, all its buffers have grown.
const SETTLING: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The first reading maps what reading itself needs.
    resident_bytes();
    let before = resident_bytes();
    MemoryManager::builder().install()?;
    thread::sleep(SETTLING);
    let own_bytes = resident_bytes().saturating_sub(before);

    println!("installing adds {} of RSS", ByteSize::bytes(own_bytes));
    if let Some(run) = Run::current() {
        run.record(series::own::RSS, own_bytes as f64)?;
    }
    Ok(())
}
