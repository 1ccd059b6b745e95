//! A guard may not live across an await, and one around the creation of a future would measure
//! nothing.
use std::future::{Future, ready};
use std::pin::Pin;

use plimsoll::memory_limit;

#[memory_limit(100)]
async fn async_fn() {}

#[memory_limit(100)]
fn impl_future() -> impl Send + Future<Output = ()> {
    ready(())
}

// What `async_trait` makes of an `async fn`.
#[memory_limit(100)]
fn boxed_future() -> Pin<Box<dyn ::core::future::Future<Output = ()> + Send>> {
    Box::pin(ready(()))
}

fn main() {
    // The functions stay, so a refusal causes no second error here.
    drop((async_fn(), impl_future(), boxed_future()));
}
