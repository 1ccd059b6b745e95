//! [`Failure`]: why the command ended, in one line, and with which code.

use std::fmt;

/// What ends the command. The codes are those of `sysexits.h`, so that scripts can tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    /// Something was found, and the exit status is how scripts learn of it.
    pub const FOUND: u8 = 1;
    /// The command line makes no sense.
    pub const USAGE: u8 = 64;
    /// A file that was read makes no sense.
    pub const DATA: u8 = 65;
    /// There is no such file.
    pub const NO_INPUT: u8 = 66;
    /// There is no such service or container.
    pub const NO_HOST: u8 = 68;
    /// The engine does not answer.
    pub const UNAVAILABLE: u8 = 69;
    /// The engine refused.
    pub const REFUSED: u8 = 70;
    /// A file can't be written.
    pub const CANT_CREATE: u8 = 73;
    /// The system forbids it.
    pub const NO_PERMISSION: u8 = 77;
    /// The profile asks for what can't be.
    pub const CONFIG: u8 = 78;

    pub fn new(code: u8, message: impl fmt::Display) -> Failure {
        Failure {
            code,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
