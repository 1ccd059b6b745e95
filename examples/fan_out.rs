//! One limit over many threads: rayon's, and those that an async runtime blocks on.

use plimsoll::{LimitExceeded, MemoryLimit, OnExceed, ScopeHandle, WithMemoryLimit, checkpoint};
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Every part is computed on one of rayon's threads, and all count in the scope that asked.
fn in_parallel(parts: usize) -> Result<usize, LimitExceeded> {
    let scope = MemoryLimit::mib(8)
        .named("in parallel")
        .on_exceed(OnExceed::Error)
        .enter();
    let handle = scope.handle();
    let kept: Vec<Vec<u8>> = (0..parts)
        .into_par_iter()
        .map(|_| {
            handle.attach(|| {
                checkpoint()?; // fails on every thread once all together hold too much
                Ok(vec![1; 1 << 20])
            })
        })
        .collect::<Result<_, LimitExceeded>>()?;
    scope.check()?;
    Ok(kept.len())
}

/// The blocking part of a request, and a task that it spawns, count in the request.
async fn request(mib: usize) -> usize {
    let handle = ScopeHandle::current().expect("runs under a limit");
    let child = tokio::spawn(handle.attach_future(async { vec![1u8; 1 << 20] }));
    let blocking = tokio::task::spawn_blocking(move || handle.attach(|| vec![1u8; mib << 20]));
    let held = (child.await, blocking.await);
    held.0.map_or(0, |part| part.len()) + held.1.map_or(0, |part| part.len())
}

#[tokio::main]
async fn main() {
    println!("4 parts: {:?}", in_parallel(4).map_err(|e| e.to_string()));
    println!("64 parts: {:?}", in_parallel(64).map_err(|e| e.to_string()));

    let limit = MemoryLimit::mib(8).named("request");
    for mib in [2, 20] {
        match request(mib).with_memory_limit(limit).await {
            Ok(bytes) => println!("request of {mib} MiB: {bytes} bytes"),
            Err(exceeded) => println!("request of {mib} MiB: {exceeded}"),
        }
    }
}
