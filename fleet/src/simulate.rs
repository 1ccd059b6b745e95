//! Strategies replayed on recorded traces.

mod family;
mod front;
mod read;
mod replay;
mod synthetic;
mod trace;

pub use family::{Family, Shrinks};
pub use front::{Front, Half, Point, cautions, fronts, score};
pub use read::read;
pub use replay::{Score, policy, replay};
pub use synthetic::{SHAPES, synthetic};
pub use trace::{Pod, Sample, Trace};
