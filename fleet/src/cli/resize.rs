//! `plimsoll resize`.

use crate::cli::output::print;
use crate::cli::terminal::block_on;
use crate::engine::Docker;
use crate::failure::Failure;
use crate::size;
use crate::up;

/// Changes the memory limit of one running service, and that on memory and swap with it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A service, or one container
    service: String,
    /// The new limit, as in 512MB or 1.5GB
    #[arg(value_parser = size::parse)]
    size: u64,
    /// Where the engine is, as unix:///path or tcp://host:port [default: DOCKER_HOST, else unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.size == 0 {
        let message = "a limit of 0 would be none: say how much it may use";
        return Err(Failure::new(Failure::USAGE, message));
    }
    let resized = block_on(async {
        let engine = Docker::connect(args.host.as_deref())?;
        up::resize(&engine, &args.service, args.size).await
    })??;
    let lines = resized.iter().map(|one| format!("{one}\n"));
    print(&lines.collect::<String>())
}
