//! `plimsoll k8s`.

use crate::cli::output::print;
use crate::failure::Failure;
use crate::profile::load;
use crate::write::k8s::manifest;

/// Prints the same profile as Kubernetes objects.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// production, development or a file
    #[arg(long, value_name = "FILE|NAME", default_value = "production")]
    profile: String,
}

pub fn run(args: Args) -> Result<(), Failure> {
    print(&manifest(&load(&args.profile)?))
}
