//! `on_exceed = "error"` needs a return type that can carry the error.
use plimsoll::memory_limit;

#[memory_limit(100, on_exceed = "error")]
fn nothing() {}

#[memory_limit(100, on_exceed = "error")]
fn unit() -> () {}

#[memory_limit(100, on_exceed = "error")]
fn number() -> u32 {
    5
}

#[memory_limit(100, on_exceed = "error")]
fn option() -> Option<u32> {
    Some(5)
}

#[memory_limit(100, on_exceed = "error")]
async fn async_nothing() {}

#[memory_limit(100, on_exceed = "error")]
async fn async_number() -> u32 {
    5
}

#[memory_limit(100, on_exceed = "error")]
fn impl_future() -> impl Future<Output = u32> {
    std::future::ready(5)
}

#[memory_limit(100, on_exceed = "error")]
fn boxed_future() -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(std::future::ready(()))
}

fn main() {}
