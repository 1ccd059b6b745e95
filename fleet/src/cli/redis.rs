//! `plimsoll redis`.

use std::path::PathBuf;

use crate::cli::compose::write;
use crate::failure::Failure;
use crate::profile::{SHIPPED, load};
use crate::write::WrittenFile;
use crate::write::redis::file;

/// Writes the Redis configuration of each profile: production.conf, development.conf.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only that of this profile: production, development or a file
    #[arg(long, value_name = "FILE|NAME")]
    profile: Option<String>,
    /// Where to
    #[arg(long, value_name = "DIR", default_value = "deploy/redis")]
    out: PathBuf,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let profiles = match args.profile {
        Some(profile) => vec![profile],
        None => SHIPPED.map(|(name, ..)| name.to_owned()).into(),
    };
    let mut files = Vec::new();
    for profile in profiles {
        let profile = load(&profile)?;
        let Some(file) = file(&profile) else {
            return Err(Failure::new(
                Failure::CONFIG,
                format!(
                    "the profile {} has no Redis: give a service redis = {{ maxmemory = \"..\" }}",
                    profile.name
                ),
            ));
        };
        files.push(WrittenFile {
            path: format!("{}.conf", profile.name),
            ..file
        });
    }
    write(&args.out, &files)
}
