//! What the benches of Plimsoll share: the names of what is measured, and the place where one run keeps its results.
//!
//! Everything here reads `/proc` or the kernel's clocks, so the benches run on Linux only.

mod median;
mod resident;
mod run;
pub mod series;
mod threads;

pub use median::median;
pub use resident::resident_bytes;
pub use run::Run;
pub use threads::{Start, on_threads, timed};
