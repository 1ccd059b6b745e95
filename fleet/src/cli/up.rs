//! `plimsoll up`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::compose;
use crate::cli::terminal::block_on;
use crate::engine::Docker;
use crate::failure::Failure;
use crate::profile::{Profile, Severity, Source, load, read};
use crate::up::{Start, start, warn_of_host};
use crate::write::deployment;

/// With this name a profile is an overlay on production's, as in the guide.
const DEVELOPMENT: &str = "development";
const PRODUCTION: &str = "production";

/// Starts the fleet of a profile and waits until it is healthy: checks, writes the compose files, starts, waits.
///
/// Ends with 0 when all are up, 1 when some are not (with their last lines), 69 without an engine or a compose, 70 when these refuse.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// production, development or a file
    #[arg(long, value_name = "FILE|NAME")]
    profile: String,
    /// Prometheus and Grafana as well
    #[arg(long)]
    monitoring: bool,
    /// Where compose/, redis/, prometheus/ and grafana/ are written
    #[arg(long, value_name = "DIR", default_value = "deploy")]
    dir: PathBuf,
    /// Seconds to wait for health
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Where the engine is, as unix:///path or tcp://host:port [default: DOCKER_HOST, else unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let profile = check(&args.profile)?;
    let (base, overlay) = match profile.name == DEVELOPMENT {
        true => (load(PRODUCTION)?, profile.clone()),
        false => (profile.clone(), load(DEVELOPMENT)?),
    };
    block_on(async {
        // Before anything is written: without an engine there is nothing to start.
        let engine = Docker::connect(args.host.as_deref())?;
        warn_of_host(&engine, &profile, &mut say).await?;
        compose::write(&args.dir, &deployment(&base, &overlay))?;
        let plan = Start {
            dir: args.dir.join("compose"),
            files: files(&profile.name, args.monitoring),
            bound: Duration::from_secs(args.timeout),
        };
        start(&plan, &engine, &mut say).await
    })?
}

/// In the order in which each changes what the ones before it say.
fn files(profile: &str, monitoring: bool) -> Vec<PathBuf> {
    let overlay = (profile == DEVELOPMENT).then_some("docker-compose.dev.yml");
    let monitoring = monitoring.then_some("docker-compose.monitoring.yml");
    let files = ["docker-compose.yml"].into_iter();
    let files = files.chain(overlay).chain(monitoring);
    files.map(PathBuf::from).collect()
}

/// The profile if it has no error; its warnings are said.
fn check(name: &str) -> Result<Profile, Failure> {
    let reading = read(&Source::open(name)?);
    let warnings = reading.problems.iter();
    for problem in warnings.filter(|problem| problem.severity == Severity::Warning) {
        say(&format!("{}:{problem}", reading.origin));
    }
    load(name)
}

/// Progress, for people: with standard error closed nobody wants it.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_those_of_the_guide() {
        let (base, development, monitoring) = (
            "docker-compose.yml",
            "docker-compose.dev.yml",
            "docker-compose.monitoring.yml",
        );
        let table: [(&str, bool, &[&str]); 5] = [
            ("production", false, &[base]),
            ("production", true, &[base, monitoring]),
            ("development", false, &[base, development]),
            ("development", true, &[base, development, monitoring]),
            ("my", true, &[base, monitoring]),
        ];
        for (profile, with, expected) in table {
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(files(profile, with), expected, "{profile} {with}");
        }
    }
}
