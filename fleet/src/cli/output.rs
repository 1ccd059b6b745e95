//! What a command says, and files it writes.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::failure::Failure;

/// Writes to stdout. Whoever closed it (`| head`) has seen enough: that is no failure.
///
/// # Errors
///
/// Stdout takes no more for another reason, as when a disk is full.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Failure::CANT_CREATE,
            format!("can't write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Writes a file and the directories above it; it is there whole or as it was.
///
/// # Errors
///
/// It can't be written, or may not be.
pub fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let failure = |error: io::Error| {
        let code = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Failure::NO_PERMISSION,
            _ => Failure::CANT_CREATE,
        };
        Failure::new(code, format!("can't write {}: {error}", path.display()))
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(failure)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // It may not even be there.
        let _ = fs::remove_file(&beside);
        failure(error)
    })
}
