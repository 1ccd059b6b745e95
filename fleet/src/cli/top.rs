//! `plimsoll top`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::output::print;
use crate::cli::scale::DEFAULT_STATE;
use crate::cli::terminal::block_on;
use crate::engine::{Actuator, Cgroups, Docker};
use crate::failure::Failure;
use crate::top;

/// Shows the fleet, live: the fullest first. q ends it.
///
/// The floor is what a service uses less what its metrics say it could free; a dash is unknown. Where the output is no terminal, one plain
/// table. NO_COLOR turns colours off.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds from one look to the next
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// One plain table
    #[arg(long)]
    once: bool,
    /// Where the engine is, as unix:///path or tcp://host:port [default: DOCKER_HOST, else unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "cgroups")]
    host: Option<String>,
    /// No Docker: a directory whose children are the services' cgroups
    #[arg(long, value_name = "DIR")]
    cgroups: Option<PathBuf>,
    /// Where the scaler keeps its state: it has the last actions
    #[arg(long, value_name = "FILE", default_value = DEFAULT_STATE)]
    state: PathBuf,
}

pub fn run(args: Args) -> Result<(), Failure> {
    block_on(async {
        match &args.cgroups {
            Some(directory) => show(&Cgroups::open(directory)?, &args).await,
            None => show(&Docker::connect(args.host.as_deref())?, &args).await,
        }
    })?
}

async fn show(engine: &impl Actuator, args: &Args) -> Result<(), Failure> {
    if args.once || !is_screen() {
        return print(&top::once(engine, &args.state).await?);
    }
    let interval = Duration::from_secs(args.interval);
    top::live(engine, &args.state, interval, has_colors()).await
}

/// Whether there is somewhere to draw.
fn is_screen() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    std::io::stdout().is_terminal() && !is_dumb
}

/// Set to anything but nothing it says no.
fn has_colors() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
}
