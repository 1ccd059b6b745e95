//! An interval is from 1 to `u32::MAX`.
use plimsoll::periodic_cleanup;

#[periodic_cleanup(0)]
fn zero() {}

#[periodic_cleanup(interval_calls = -1)]
fn negative() {}

#[periodic_cleanup(4294967296)]
fn overflow() {}

fn main() {}
