//! `plimsoll profile`.

use crate::failure::Failure;

/// Checks or shows a profile.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
