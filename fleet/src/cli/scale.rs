//! `plimsoll scale`.

use crate::failure::Failure;

/// Watches the fleet and resizes its services.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
