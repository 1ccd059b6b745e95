//! What a person at the terminal sees.

use std::io::{self, Write};
use std::time::Duration;

use plimsoll::{ByteSize, Usage};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::service::Service;

const EVERY: Duration = Duration::from_secs(1);

/// A line a second, until stdout is closed.
pub async fn print_lines(service: &Service) -> io::Result<()> {
    let started = Instant::now();
    let mut ticks = interval_at(started + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = (started, service.counts().received);
    loop {
        let now = ticks.tick().await;
        let counts = service.counts();
        let rate = (counts.received - last.1) as f64 / (now - last.0).as_secs_f64();
        last = (now, counts.received);
        writeln!(
            io::stdout(),
            "{:>5} s {rate:>8.0} events/s {:>9} held   {}",
            (now - started).as_secs(),
            counts.cache.held,
            memory(&service.manager.usage()),
        )?;
    }
}

/// `12.1 MiB of 64.0 MiB (18.9 %), RSS 13.0 MiB`: `Usage` in short, the whole line stays below 100 columns.
fn memory(usage: &Usage) -> String {
    let limit = match usage.binding {
        Some(bound) => format!(
            "{} of {} ({:.1} %), ",
            ByteSize::bytes(bound.used_bytes),
            ByteSize::bytes(bound.limit_bytes),
            bound.percent(),
        ),
        None => "limit unknown, ".to_owned(),
    };
    format!("{limit}RSS {}", ByteSize::bytes(usage.rss_bytes))
}

/// Where every event went, and the memory in full.
pub fn print_summary(service: &Service) -> io::Result<()> {
    let counts = service.counts();
    let cache = &counts.cache;
    writeln!(
        io::stdout(),
        "{} received = {} accepted + {} duplicates + {} rejected\n{} accepted = {} held + {} evicted\n{}",
        counts.received,
        cache.accepted,
        cache.duplicates,
        counts.rejected,
        cache.accepted,
        cache.held,
        cache.evicted,
        service.manager.usage(),
    )
}
