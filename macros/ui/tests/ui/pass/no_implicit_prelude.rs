//! The expansions name everything from its root: they compile where not even `Result` is in scope,
//! and where the names they could have leaned on mean something else.
#![no_implicit_prelude]
#![deny(warnings)]

#[allow(dead_code)]
mod core {}
#[allow(dead_code)]
mod plimsoll {}
#[allow(dead_code)]
mod std {}

#[::plimsoll::memory_limit(100)]
#[::plimsoll::periodic_cleanup(100)]
fn warns() -> u8 {
    1
}

#[::plimsoll::memory_limit(100, on_exceed = "error")]
fn fails() -> ::std::result::Result<u8, ::plimsoll::LimitExceeded> {
    ::std::result::Result::Ok(1)
}

#[::plimsoll::memory_limit(100)]
async fn warns_when_polled() -> u8 {
    1
}

#[::plimsoll::memory_limit(100, on_exceed = "error")]
async fn fails_when_polled() -> ::std::result::Result<u8, ::plimsoll::LimitExceeded> {
    ::std::result::Result::Ok(1)
}

#[::plimsoll::memory_limit(100)]
fn returns_future() -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = ()>>> {
    ::std::boxed::Box::pin(::std::future::ready(()))
}

fn main() {
    warns();
    let _ = fails();
    ::std::mem::drop((warns_when_polled(), fails_when_polled(), returns_future()));
}
