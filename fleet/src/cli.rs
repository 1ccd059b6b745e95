//! The command line: each verb's flags, and which part of the library it is for.

mod compose;
mod doctor;
mod k8s;
mod output;
mod profile;
mod redis;
mod resize;
mod scale;
mod simulate;
mod terminal;
mod top;
mod up;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Sizes, starts, scales and examines a fleet of services on one host.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Profile(profile::Args),
    Compose(compose::Args),
    Redis(redis::Args),
    K8s(k8s::Args),
    Up(up::Args),
    Resize(resize::Args),
    Scale(scale::Args),
    Simulate(simulate::Args),
    Doctor(doctor::Args),
    Top(top::Args),
}

/// Does what the process's arguments say.
///
/// # Errors
///
/// One clear line, and the code to exit with.
pub fn run() -> Result<(), Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no failures.
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return Ok(());
        }
        Err(error) => return Err(Failure::new(Failure::USAGE, error.to_string().trim_end())),
    };
    match cli.verb {
        Verb::Profile(args) => profile::run(args),
        Verb::Compose(args) => compose::run(args),
        Verb::Redis(args) => redis::run(args),
        Verb::K8s(args) => k8s::run(args),
        Verb::Up(args) => up::run(args),
        Verb::Resize(args) => resize::run(args),
        Verb::Scale(args) => scale::run(args),
        Verb::Simulate(args) => simulate::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Top(args) => top::run(args),
    }
}
