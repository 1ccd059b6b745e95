//! No lint of rustc or clippy fires on what the expansion adds, and what the user allows or denies
//! stays in force.
//! `cargo clippy --all-targets` is the other half of this test; rustc alone sees only its own lints.
#![deny(
    warnings,
    unused,
    missing_docs,
    unsafe_code,
    unused_qualifications,
    unused_results,
    let_underscore_drop
)]
#![deny(clippy::all, clippy::pedantic)]
#![forbid(unsafe_op_in_unsafe_fn)]

use plimsoll::{LimitExceeded, memory_limit, periodic_cleanup};

#[allow(clippy::unnecessary_wraps)]
fn five() -> Result<u8, LimitExceeded> {
    Ok(5)
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn leading_items() -> usize {
    use std::mem::size_of_val;
    const BYTES: [u8; 4] = [0; 4];
    size_of_val(&BYTES)
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn returns_nothing() {
    std::hint::black_box(());
}

#[memory_limit(100, on_exceed = "error")]
fn one_call() -> Result<u8, LimitExceeded> {
    five()
}

#[memory_limit(100, on_exceed = "error")]
#[periodic_cleanup(100)]
fn mutates(mut number: u8) -> Result<u8, LimitExceeded> {
    while number < 10 {
        number += five()?;
    }
    Ok(number)
}

#[periodic_cleanup(100)]
#[memory_limit(100)]
fn one_expression(number: u8) -> u8 {
    number + 1
}

#[periodic_cleanup(100)]
fn empty() {}

#[test]
fn quiet() -> Result<(), LimitExceeded> {
    returns_nothing();
    empty();
    assert_eq!(leading_items(), 4);
    assert_eq!(one_call()? + mutates(one_expression(1))?, 17);
    Ok(())
}
