//! What the benches of Plimsoll share: the names of what is measured, and the place where one run keeps its results.
//!
//! Everything here reads `/proc`, so the benches run on Linux only.

mod resident;
mod run;
pub mod series;

pub use resident::resident_bytes;
pub use run::Run;
