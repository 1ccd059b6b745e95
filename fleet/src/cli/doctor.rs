//! `plimsoll doctor`.

use crate::cli::output::print;
use crate::cli::terminal::{block_on, columns};
use crate::doctor::{self, Places};
use crate::failure::Failure;
use crate::span;

/// Finds what is wrong with the fleet: kills, full or missing limits, swap, what is stored for nobody. Changes nothing.
///
/// Ends with 0 when nothing was found, 1 when something was, 69 when nothing could be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: {"findings": [{"severity", "code", "where", "what", "todo", "count", "percent", "bytes"}], "read": [..], "unread": [..]}
    #[arg(long)]
    json: bool,
    /// Where the engine is, as unix:///path or tcp://host:port [default: DOCKER_HOST, else unix:///var/run/docker.sock]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// How far back to look for kills, as in 30m or 24h
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span::parse)]
    since: u64,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let places = Places {
        host: args.host,
        window_s: args.since,
        ..Places::default()
    };
    let report = block_on(doctor::examine(&places))?;
    let text = match args.json {
        true => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
        false => doctor::text(&report, columns()),
    };
    print(&text)?;
    if report.is_blind() {
        let message = "nothing could be read: neither the kernel, nor cgroups, nor an engine";
        return Err(Failure::new(Failure::UNAVAILABLE, message));
    }
    match report.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::new(Failure::FOUND, "1 finding")),
        count => Err(Failure::new(Failure::FOUND, format!("{count} findings"))),
    }
}
