//! A service that caches, parses and aggregates events whose working set is four times its memory limit, and its clients, in one
//! process. It prints one line of JSON about how it went.
//!
//! With a manager it asks for the level before each request and refuses at High and above, and gives up its oldest events when the
//! manager's cleanup asks for memory. Without one (`--unmanaged`) nothing else differs: same allocator, same load, same cache,
//! which has no bound of its own. A run for comparison, on a machine with room, bounds the cache by `--cache-mib`.
//!
//! Clients are threads in a closed loop: each draws an id, makes the event's text (the same for the same id), asks, waits for the
//! answer, and asks again. At the end every event must be accounted for: offered, accepted, refused, answered, aggregated, cached
//! and evicted are counted in different places, and the sums must come out.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod args;
mod beside;
mod cache;
mod clients;
mod event;
mod histogram;
mod library;
mod load;
mod outcome;
mod server;
mod service;
mod source;
mod watch;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::{MemoryManager, PressureLevel};
use plimsoll_survival::Report;

use args::{Args, HELP};
use beside::Beside;
use cache::Cache;
use clients::Way;
use load::Load;
use outcome::Outcome;
use server::Server;
use service::Service;
use source::Source;
use watch::{EvictOldest, Sampler, Watch};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// How long the service waits for the level to be Normal after the load.
const RECOVERY_AT_MOST: Duration = Duration::from_secs(6);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(line) => {
            eprintln!("overload: {line}");
            return ExitCode::from(64);
        }
    };
    match run(&args) {
        Ok(report) => {
            let all_accounted_for = report.broken.is_empty();
            println!("{}", serde_json::json!(report));
            if all_accounted_for {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("overload: {error}");
            ExitCode::from(70)
        }
    }
}

fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let manager = if args.managed {
        Some(MemoryManager::builder().install()?)
    } else {
        None
    };
    let load = Load::of(args);
    let cache = Arc::new(Cache::new(args.cache_mib.map(|mib| mib << 20)));
    let watch = Arc::new(Watch::new());
    let registration = manager.map(|manager| {
        manager.register_cleanup(EvictOldest {
            cache: Arc::clone(&cache),
            watch: Arc::clone(&watch),
        })
    });
    let sampler = Sampler::start(
        manager,
        Arc::clone(&watch),
        Duration::from_millis(args.sample_ms),
        args.limit_mib << 20,
    );
    let service = Arc::new(Service::new(manager, cache));
    let source = Source::new(load.shape, load.working_set_bytes);
    let server = match load.way {
        Way::Socket => Some(Server::start(Arc::clone(&service))?),
        _ => None,
    };
    let beside = Beside::start(load.beside)?;

    let started = Instant::now();
    let crowd = clients::Crowd {
        source: &source,
        service: &service,
        watch: &watch,
        server: server.as_ref(),
        way: load.way,
        end: started + Duration::from_secs(args.seconds),
    };
    let tally = crowd.run(load.clients, args.seed)?;
    let lasted = started.elapsed();
    let beside = beside.stop()?;
    let recovery = manager.and_then(wait_until_normal);
    drop(server);

    let seen = sampler.stop();
    drop(registration);
    Ok(Outcome {
        args,
        lasted,
        working_set_bytes: load.working_set_bytes,
        service: &service,
        tally: &tally,
        seen: &seen,
        beside,
        reclaim: watch.delays(),
        recovery,
    }
    .report())
}

/// How long it took; `None` if it did not come.
fn wait_until_normal(manager: &MemoryManager) -> Option<Duration> {
    let started = Instant::now();
    while started.elapsed() < RECOVERY_AT_MOST {
        if manager.pressure() == PressureLevel::Normal {
            return Some(started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}
