//! A limit that is no size is refused at its value, and the value is named.
use plimsoll::memory_limit;

#[memory_limit(0)]
fn zero() {}

#[memory_limit(-1)]
fn negative() {}

#[memory_limit(max_mb = 0.0)]
fn zero_float() {}

#[memory_limit(max_mb = 1e-9)]
fn less_than_a_byte() {}

#[memory_limit(1e400)]
fn infinite() {}

#[memory_limit(17592186044416)]
fn overflow() {}

#[memory_limit(99999999999999999999999)]
fn overflow_before_mib() {}

#[memory_limit(max = "12xb")]
fn unknown_unit() {}

#[memory_limit(max = "")]
fn empty() {}

#[memory_limit(max = "NaN")]
fn not_a_number() {}

#[memory_limit(max = "0m")]
fn zero_text() {}

#[memory_limit(max = "-64m")]
fn negative_text() {}

#[memory_limit(max = "16777216t")]
fn overflow_text() {}

fn main() {}
