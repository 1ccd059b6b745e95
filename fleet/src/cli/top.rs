//! `plimsoll top`.

use crate::failure::Failure;

/// Shows the fleet, live.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
