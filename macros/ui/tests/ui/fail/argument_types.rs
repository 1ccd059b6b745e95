//! A value of the wrong type is refused at the value, and what would do is named.
use plimsoll::{memory_limit, periodic_cleanup};

const LIMIT: u64 = 100;

#[memory_limit("64MiB")]
fn text_as_number() {}

#[memory_limit(64MiB)]
fn unit_without_quotes() {}

#[memory_limit(100u64)]
fn suffix() {}

#[memory_limit(LIMIT)]
fn constant() {}

#[memory_limit(max = 64)]
fn number_as_text() {}

#[memory_limit(100, on_exceed = error)]
fn policy_without_quotes() {}

#[memory_limit(100, on_exceed = "explode")]
fn unknown_policy() {}

#[memory_limit(100, cleanup_on_exceed)]
fn flag_without_value() {}

#[memory_limit(100, cleanup_on_exceed = "yes")]
fn text_as_flag() {}

#[memory_limit(100, name = 1)]
fn number_as_name() {}

#[memory_limit(100, crate = "not a path")]
fn not_a_path() {}

#[periodic_cleanup("100")]
fn text_as_count() {}

#[periodic_cleanup(0.5)]
fn fraction_as_count() {}

fn main() {}
