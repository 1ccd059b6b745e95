//! `plimsoll compose`.

use crate::failure::Failure;

/// Writes the compose files of a profile.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
