//! A runaway async request is stopped while its neighbours go on: one limit per request, whatever thread polls it.

use std::time::Duration;

use plimsoll::{LimitExceeded, MemoryLimit, WithMemoryLimit, get_memory_manager, memory_limit};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Reads page after page and keeps them all, as a request does that somebody forgot to bound.
async fn collect(pages: usize) -> usize {
    let mut kept = Vec::new();
    for page in 0..pages {
        kept.push(vec![page as u8; 256 << 10]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    kept.len()
}

/// The same by attribute: past its limit the future is dropped where it next waits, and the error is the result.
#[memory_limit(max = "4MiB", on_exceed = "error")]
async fn collect_bounded(pages: usize) -> Result<usize, LimitExceeded> {
    Ok(collect(pages).await)
}

#[tokio::main]
async fn main() {
    let limit = MemoryLimit::mib(4).named("request");
    let requests: Vec<_> = [8, 8, 1_000_000, 8]
        .into_iter()
        .map(|pages| tokio::spawn(collect(pages).with_memory_limit(limit)))
        .collect();
    for (number, request) in requests.into_iter().enumerate() {
        match request.await.expect("no request panics") {
            Ok(pages) => println!("request {number}: {pages} pages"),
            Err(exceeded) => println!("request {number}: stopped, {exceeded}"),
        }
    }
    println!("by attribute: {:?} pages", collect_bounded(8).await.ok());
    println!(
        "by attribute: stopped {}",
        collect_bounded(1_000_000).await.is_err()
    );

    for scope in get_memory_manager().scopes() {
        println!(
            "{}: {} calls, {} exceeded, up to {} KiB",
            scope.name,
            scope.calls_total,
            scope.exceeded_total,
            scope.peak_bytes >> 10
        );
    }
}
