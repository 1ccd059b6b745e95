//! The expansions name everything from its root: they compile where not even `Result` is in scope,
//! and where the names they could have leaned on mean something else.
#![no_implicit_prelude]
#![deny(warnings)]

#[allow(dead_code)]
mod core {}
#[allow(dead_code)]
mod plimsoll {}

#[::plimsoll::memory_limit(100)]
#[::plimsoll::periodic_cleanup(100)]
fn warns() -> u8 {
    1
}

#[::plimsoll::memory_limit(100, on_exceed = "error")]
fn fails() -> ::std::result::Result<u8, ::plimsoll::LimitExceeded> {
    ::std::result::Result::Ok(1)
}

fn main() {
    warns();
    let _ = fails();
}
