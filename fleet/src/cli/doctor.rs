//! `plimsoll doctor`.

use crate::failure::Failure;

/// Finds what is wrong with the fleet.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
