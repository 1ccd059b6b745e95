//! A crypto-market event service over HTTP that knows its memory: `cargo run --release --features page,tower --example service`.
//!
//! `POST /events` goes through a function with a memory limit into a deduplicating cache, the cache gives its oldest events
//! back when memory gets tight. `GET /memory` shows it live, `GET /metrics` is for Prometheus.

mod args;
mod cache;
mod event;
mod health;
mod http;
mod live;
mod service;
mod traffic;

use std::env;
use std::future::IntoFuture;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::telemetry::{MemoryRoutes, WeakToken};
use plimsoll::{InstallError, MemoryManager};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing_subscriber::filter::LevelFilter;

use args::{Args, HELP};
use service::Service;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Whoever sends it may clean up by the page.
const TOKEN_VARIABLE: &str = "SERVICE_CLEANUP_TOKEN";
/// How long open requests may take to end once the service was told to.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stderr closed as well there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// What ends the service before its time. The codes are those of `sysexits.h`.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    const USAGE: u8 = 64;
    const UNAVAILABLE: u8 = 69;
    const IO: u8 = 74;
    const CONFIG: u8 = 78;

    fn new(code: u8, message: impl Into<String>) -> Self {
        Failure {
            code,
            message: message.into(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::new(Failure::IO, error.to_string())
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        Failure::new(Failure::CONFIG, error.to_string())
    }
}

impl From<WeakToken> for Failure {
    fn from(error: WeakToken) -> Self {
        Failure::new(Failure::CONFIG, format!("{TOKEN_VARIABLE}: {error}"))
    }
}

fn run() -> Result<(), Failure> {
    let args = Args::parse(env::args_os().skip(1));
    let Some(args) = args.map_err(|message| Failure::new(Failure::USAGE, message))? else {
        return Ok(write!(io::stdout(), "{HELP}")?);
    };
    if args.healthy {
        return health::ask(args.port)
            .map_err(|message| Failure::new(Failure::UNAVAILABLE, message));
    }
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(io::stderr)
        .init();
    let manager = MemoryManager::builder().install()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_park(plimsoll::thread_idle)
        .build()?
        .block_on(serve(args, manager))
}

async fn serve(args: Args, manager: &'static MemoryManager) -> Result<(), Failure> {
    let listener = listen(SocketAddr::from((args.address, args.port))).await?;
    let address = listener.local_addr()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let end_of_time = async {
        match args.seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };

    let (stop, stopped) = watch::channel(());
    let stopped = move || {
        let mut stopped = stopped.clone();
        async move {
            // Told by the drop of the other end.
            let _ = stopped.changed().await;
        }
    };
    // A page that is open must not hold up the end.
    let mut routes = MemoryRoutes::new().until(stopped());
    // Empty is as good as not set: compose has no other way to say so.
    let token = env::var(TOKEN_VARIABLE)
        .ok()
        .filter(|token| !token.is_empty());
    if let Some(token) = &token {
        routes = routes.allow_cleanup(token)?;
    }

    writeln!(io::stdout(), "listening on {address}")?;
    writeln!(io::stdout(), "memory: http://{address}/memory")?;
    for finding in manager.findings() {
        writeln!(io::stderr(), "{finding}")?;
    }

    let service = Arc::new(Service::new(manager));
    let _registration = manager.register_cleanup(Arc::clone(&service.cache));
    let server = axum::serve(listener, http::router(Arc::clone(&service), routes, token))
        .with_graceful_shutdown(stopped());
    let server = tokio::spawn(server.into_future());

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = end_of_time => {}
        result = live::print_lines(&service) => result?,
        result = traffic::drive(address, manager), if args.traffic => result?,
    }

    drop(stop);
    if timeout(GRACE, server).await.is_err() {
        writeln!(io::stderr(), "requests were still open after {GRACE:?}")?;
    }
    Ok(live::print_summary(&service)?)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::AddrInUse => format!("{address} is taken; choose another with --port"),
            _ => format!("can't listen on {address}: {error}; choose another with --port"),
        };
        Failure::new(Failure::UNAVAILABLE, message)
    })
}
