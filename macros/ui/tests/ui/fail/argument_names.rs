//! An argument that is unknown, given twice or missing.
use plimsoll::{memory_limit, periodic_cleanup};

#[memory_limit(max_kb = 100)]
fn unknown() {}

#[memory_limit(max_mb = 100, max_mb = 200)]
fn limit_twice() {}

#[memory_limit(max_mb = 100, max = "64MiB")]
fn max_and_max_mb() {}

#[memory_limit(100, max = "64MiB")]
fn positional_and_max() {}

#[memory_limit(100, 200)]
fn two_positional() {}

#[memory_limit(100, on_exceed = "warn", on_exceed = "error")]
fn policy_twice() {}

#[memory_limit(100, crate = "plimsoll", crate = "plimsoll")]
fn crate_twice() {}

#[memory_limit]
fn no_arguments() {}

#[memory_limit()]
fn empty_arguments() {}

#[memory_limit(on_exceed = "panic")]
fn no_limit() {}

#[memory_limit(max_mb 100)]
fn no_equals() {}

#[periodic_cleanup(max_mb = 100)]
fn unknown_to_periodic() {}

#[periodic_cleanup(100, interval_calls = 100)]
fn interval_twice() {}

#[periodic_cleanup]
fn no_interval() {}

fn main() {}
