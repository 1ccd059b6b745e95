//! Bounds on what code may use: by attribute, by guard, and at checkpoints in between.

use plimsoll::{LimitExceeded, MemoryLimit, checkpoint, memory_limit, periodic_cleanup};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Warns, once a second at most, and asks for a cleanup; the work goes on.
#[memory_limit(max_mb = 1)]
fn generous(rows: usize) -> Vec<[u8; 1024]> {
    vec![[0; 1024]; rows]
}

/// Stops at the first checkpoint past its limit.
#[memory_limit(max = "1MiB", on_exceed = "error")]
fn strict(rows: usize) -> Result<Vec<Vec<u8>>, LimitExceeded> {
    let mut kept = Vec::new();
    for _ in 0..rows {
        kept.push(vec![0; 1024]);
        checkpoint()?;
    }
    Ok(kept)
}

/// Asks for a check, and if need be a cleanup, every 100 calls.
#[periodic_cleanup(100)]
fn hot_path() {}

fn main() {
    println!("generous kept {} rows", generous(4096).len());

    println!("strict(100): {:?} rows", strict(100).map(|kept| kept.len()));
    if let Err(exceeded) = strict(100_000) {
        println!("strict(100000): {exceeded}");
    }

    let scope = MemoryLimit::kib(64).named("by hand").enter();
    let kept = vec![0u8; 1 << 20];
    println!("check: {:?}", scope.check().map_err(|e| e.peak_bytes));
    drop(kept);
    println!("{:?}", scope.finish());

    (0..1000).for_each(|_| hot_path());
    println!("{:?}", plimsoll::get_memory_manager().stats().periodic);
}
