//! A future that is one part of what a function returns can't be put under its limit.
use std::future::{Future, ready};
use std::pin::Pin;

use plimsoll::memory_limit;

#[memory_limit(100)]
fn boxed() -> Box<dyn Future<Output = ()> + Unpin> {
    Box::new(ready(()))
}

#[memory_limit(100)]
fn fallible() -> Result<impl Send + Future<Output = ()>, ()> {
    Ok(ready(()))
}

#[memory_limit(100, on_exceed = "error")]
fn optional() -> Option<Pin<Box<dyn ::core::future::Future<Output = ()> + Send>>> {
    Some(Box::pin(ready(())))
}

trait Trait {
    #[memory_limit(100)]
    async fn without_body(&self) -> u8;
}

fn main() {
    // The functions stay, so a refusal causes no second error here.
    drop((boxed(), fallible(), optional()));
}
