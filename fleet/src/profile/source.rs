//! [`Source`]: a profile's text, and where it is from.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::failure::Failure;

/// No profile is longer; who names a device or a log file by mistake is told so at once.
const MAX_BYTES: u64 = 1 << 20;

/// The profiles that are part of the command, so that it works anywhere: name, file, text.
pub const SHIPPED: [(&str, &str, &str); 2] = [
    (
        "production",
        "deploy/profiles/production.toml",
        include_str!("../../../deploy/profiles/production.toml"),
    ),
    (
        "development",
        "deploy/profiles/development.toml",
        include_str!("../../../deploy/profiles/development.toml"),
    ),
];

/// A profile's text, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the profile is called: "production", or the file's name without its ending.
    pub name: String,
    /// The file, as problems name it.
    pub origin: String,
    pub text: String,
}

impl Source {
    /// A shipped profile by its name, or else the file of that path.
    ///
    /// # Errors
    ///
    /// There is no such file, it may not be read, or it is no text.
    pub fn open(name_or_path: &str) -> Result<Source, Failure> {
        match SHIPPED.iter().find(|(name, ..)| *name == name_or_path) {
            Some((name, origin, text)) => Ok(Source {
                name: (*name).to_owned(),
                origin: (*origin).to_owned(),
                text: (*text).to_owned(),
            }),
            None => Source::from_file(name_or_path),
        }
    }

    fn from_file(path: &str) -> Result<Source, Failure> {
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Failure::new(
                Failure::NO_PERMISSION,
                format!("{path}: no permission to read this profile"),
            ),
            _ => Failure::new(
                Failure::NO_INPUT,
                format!(
                    "{path}: {}; name {}, or a TOML file",
                    match error.kind() {
                        ErrorKind::NotFound =>
                            "there is no such profile and no such file".to_owned(),
                        kind => format!("this can't be read ({kind})"),
                    },
                    SHIPPED.map(|(name, ..)| name).join(", ")
                ),
            ),
        })?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Failure::new(
                Failure::DATA,
                format!("{path}: longer than 1 MiB, so it is no profile"),
            ));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::new(
                Failure::DATA,
                format!("{path}: byte {at} is not UTF-8, and a profile is text"),
            )
        })?;
        let stem = Path::new(path).file_stem().unwrap_or_default();
        Ok(Source {
            name: stem.to_string_lossy().into_owned(),
            origin: path.to_owned(),
            text,
        })
    }
}
