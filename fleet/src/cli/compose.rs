//! `plimsoll compose`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::output::{print, write_file};
use crate::failure::Failure;
use crate::profile::load;
use crate::write::{WrittenFile, deployment};

/// Writes the compose files of the profiles, and the files that these mount.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile of docker-compose.yml and docker-compose.monitoring.yml: production, development or a file
    #[arg(long, value_name = "FILE|NAME", default_value = "production")]
    profile: String,
    /// The profile of docker-compose.dev.yml
    #[arg(long, value_name = "FILE|NAME", default_value = "development")]
    development: String,
    /// Where compose/, redis/, prometheus/ and grafana/ are
    #[arg(long, value_name = "DIR", default_value = "deploy")]
    out: PathBuf,
    /// Writes nothing, and ends with 1 if a file is not as it would be written
    #[arg(long)]
    check: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let production = load(&args.profile)?;
    let development = load(&args.development)?;
    if production.name == development.name {
        return Err(Failure::new(
            Failure::USAGE,
            format!(
                "both profiles are called {}, and so would be the files of both: rename one",
                production.name
            ),
        ));
    }
    let files = deployment(&production, &development);
    if args.check {
        check(&args.out, &files)
    } else {
        write(&args.out, &files)
    }
}

/// Writes each file that is not as it should be, and says so.
pub(super) fn write(directory: &Path, files: &[WrittenFile]) -> Result<(), Failure> {
    let mut said = String::new();
    for file in files {
        let path = directory.join(&file.path);
        let as_it_was = is_as(&path, &file.text);
        if !as_it_was {
            write_file(&path, &file.text)?;
        }
        let what = if as_it_was { "as it was" } else { "written" };
        let _ = writeln!(said, "{}: {what}", path.display());
    }
    print(&said)
}

fn check(directory: &Path, files: &[WrittenFile]) -> Result<(), Failure> {
    let paths = files.iter().map(|file| (directory.join(&file.path), file));
    let stale = paths.filter(|(path, file)| !is_as(path, &file.text));
    let stale: Vec<_> = stale.map(|(path, _)| path.display().to_string()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Failure::FOUND,
        format!(
            "not as the profiles say: {}; `plimsoll compose` writes them",
            stale.join(", ")
        ),
    ))
}

fn is_as(path: &Path, text: &str) -> bool {
    fs::read(path).is_ok_and(|there| there == text.as_bytes())
}
