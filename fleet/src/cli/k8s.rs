//! `plimsoll k8s`.

use crate::failure::Failure;

/// Prints the same profile as Kubernetes objects.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Failure> {
    Err(Failure::new(Failure::USAGE, "not built yet"))
}
