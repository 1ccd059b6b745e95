//! `plimsoll up`.

use crate::failure::Failure;

/// Starts the fleet of a profile and waits until it is healthy.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
