//! `plimsoll simulate`.

use crate::failure::Failure;

/// Replays recorded traces against scaling strategies.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
