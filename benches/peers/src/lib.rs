//! What the benches of Plimsoll share: what is measured and how it is called, and the place where one run keeps its results.
//!
//! Everything here reads `/proc` or the kernel's clocks, so the benches run on Linux only.

mod allocator;
mod median;
mod resident;
mod run;
pub mod series;
mod table;
mod threads;

pub use allocator::Allocator;
pub use median::median;
pub use resident::resident_bytes;
pub use run::Run;
pub use table::Table;
pub use threads::{Start, on_threads, timed};
