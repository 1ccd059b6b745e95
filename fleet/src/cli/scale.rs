//! `plimsoll scale`.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::terminal::block_on;
use crate::engine::{Cgroups, Docker};
use crate::failure::Failure;
use crate::profile::{Profile, load};
use crate::scale::{self, Settings, Voice};

/// What services want to hear before they clean up.
const TOKEN_VARIABLE: &str = "PLIMSOLL_CLEANUP_TOKEN";
/// As long as services want it.
const SHORTEST_TOKEN: usize = 16;
pub(super) const DEFAULT_STATE: &str = "/var/lib/plimsoll/scale.json";
const SHORTEST_INTERVAL_S: u64 = 1;
const LONGEST_INTERVAL_S: u64 = 24 * 60 * 60;

/// Watches the fleet and resizes its services.
///
/// Decisions come on the output, a line each; all else on the error output. Services that allow it are asked for a cleanup before their
/// limit goes down: with the token in PLIMSOLL_CLEANUP_TOKEN.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A profile with its services and their policies: a file, or production, development
    #[arg(
        long,
        visible_alias = "policy",
        value_name = "FILE|NAME",
        default_value = "production"
    )]
    profile: String,
    /// Seconds from one reading of a service to the next, at most
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(SHORTEST_INTERVAL_S..=LONGEST_INTERVAL_S))]
    interval: u64,
    /// Says what it would do, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// One round, and what follows from it
    #[arg(long)]
    once: bool,
    /// Serves the scaler's own metrics there
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// Where what was learned is kept over a restart [default: /var/lib/plimsoll/scale.json if that can be written]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Docker's socket, as unix:///var/run/docker.sock [default: DOCKER_HOST, or that]
    #[arg(long, value_name = "URL", conflicts_with = "cgroups")]
    host: Option<String>,
    /// No Docker: a directory whose children are the services' cgroups
    #[arg(long, value_name = "DIR")]
    cgroups: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let profile = load(&args.profile)?;
    let voice = Voice::standard();
    let settings = Settings {
        interval: Duration::from_secs(args.interval),
        dry_run: args.dry_run,
        once: args.once,
        state: args.state.or_else(|| default_state(args.dry_run)),
        metrics: args.metrics,
        token: token()?,
        is_local: args.cgroups.is_some(),
    };
    // Scrapes and cleanups that are still asked for at the end change nothing.
    block_on(async {
        match &args.cgroups {
            Some(directory) => {
                let engine = Cgroups::open(directory)?;
                scale_until_stopped(engine, &profile, settings, voice).await
            }
            None => {
                let engine = Docker::connect(args.host.as_deref())?;
                scale_until_stopped(engine, &profile, settings, voice).await
            }
        }
    })?
}

async fn scale_until_stopped<A: crate::engine::Actuator + 'static>(
    engine: A,
    profile: &Profile,
    settings: Settings,
    voice: Voice,
) -> Result<(), Failure> {
    let on = |kind| {
        signal(kind).map_err(|error| {
            Failure::new(
                Failure::UNAVAILABLE,
                format!("can't wait for signals: {error}"),
            )
        })
    };
    let (mut terminate, mut interrupt) =
        (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    scale::run(engine, profile, settings, voice, stop).await
}

/// `None`: nothing is kept.
fn default_state(dry_run: bool) -> Option<PathBuf> {
    let path = Path::new(DEFAULT_STATE);
    if dry_run {
        return path.exists().then(|| path.to_owned());
    }
    let folder = path.parent()?;
    std::fs::create_dir_all(folder).ok()?;
    let may_write = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    may_write.then(|| path.to_owned())
}

fn is_token(text: &str) -> bool {
    text.len() >= SHORTEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn token() -> Result<Option<String>, Failure> {
    match env::var(TOKEN_VARIABLE) {
        Ok(token) if token.is_empty() => Ok(None),
        Ok(token) if is_token(&token) => Ok(Some(token)),
        Ok(_) | Err(env::VarError::NotUnicode(_)) => Err(Failure::new(
            Failure::CONFIG,
            format!(
                "{TOKEN_VARIABLE}: a token has {SHORTEST_TOKEN} or more characters, all of them visible ASCII; write one with `openssl rand -hex 16`"
            ),
        )),
        Err(env::VarError::NotPresent) => Ok(None),
    }
}
