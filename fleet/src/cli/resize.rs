//! `plimsoll resize`.

use crate::failure::Failure;

/// Changes the memory limit of one running service.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
