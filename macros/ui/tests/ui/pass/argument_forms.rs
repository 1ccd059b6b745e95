//! Every way to write the arguments, trailing commas included.
#![deny(warnings)]

use plimsoll::{memory_limit, periodic_cleanup};

#[memory_limit(100)]
fn positional() {}

#[memory_limit(0.5,)]
fn positional_fraction() {}

#[memory_limit(max_mb = 100)]
fn max_mb() {}

#[memory_limit(max_mb = 1_0.25)]
fn max_mb_fraction() {}

#[memory_limit(max = "64MiB")]
fn max() {}

#[memory_limit(max = "1.5 g", on_exceed = "warn", cleanup_on_exceed = false, name = "all", crate = "plimsoll",)]
fn everything() {}

#[memory_limit(on_exceed = "panic", max_mb = 100)]
fn any_order() {}

#[memory_limit(on_exceed = "panic", 100)]
fn positional_last() {}

#[periodic_cleanup(100)]
fn every() {}

#[periodic_cleanup(interval_calls = 4_294_967_295, name = "all", crate = "::plimsoll")]
fn every_named() {}

macro_rules! limited {
    ($name:ident, $limit:literal, $body:block) => {
        #[memory_limit($limit)]
        #[periodic_cleanup(interval_calls = $limit)]
        fn $name() $body
    };
}
limited!(from_macro_rules, 100, {});

fn main() {
    positional();
    positional_fraction();
    max_mb();
    max_mb_fraction();
    max();
    everything();
    any_order();
    positional_last();
    every();
    every_named();
    from_macro_rules();
}
