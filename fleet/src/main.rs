//! The command `plimsoll`.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match plimsoll_fleet::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stderr closed as well there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "plimsoll: {failure}");
            ExitCode::from(failure.code)
        }
    }
}
