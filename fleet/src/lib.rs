//! What the command `plimsoll` does, as a library: profiles of a fleet, the files that are written from them, a scaler, a doctor.
//!
//! Arrows point down: `cli` may use all; `scale`, `simulate`, `doctor`, `top` and `up` use `engine`, `decide`, `write` (`top` asks services as
//! `scale` does); these use `profile`; everything may use `size`, `span`, `table`, `failure`. `ci/house` has the table.

#![allow(missing_docs, reason = "fields that say all by name and unit")]

pub mod cli;
pub mod decide;
pub mod doctor;
pub mod engine;
pub mod failure;
pub mod profile;
pub mod scale;
pub mod simulate;
pub mod size;
pub mod span;
pub mod table;
pub mod top;
pub mod up;
pub mod write;
