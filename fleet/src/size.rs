//! Sizes, in the dialect of whoever reads them.

mod dialect;
mod parse;

pub use dialect::{docker, human, kubernetes, redis};
pub use parse::{SizeError, parse};
