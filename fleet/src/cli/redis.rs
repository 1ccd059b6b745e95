//! `plimsoll redis`.

use crate::failure::Failure;

/// Writes the Redis configuration of a profile.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
