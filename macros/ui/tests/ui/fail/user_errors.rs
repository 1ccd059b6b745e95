//! An error of the user's stays the user's: it points into the body, and nothing of the expansion
//! is in scope there.
use plimsoll::{LimitExceeded, memory_limit, periodic_cleanup};

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn wrong_tail() -> u32 {
    "text"
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn no_tail() -> u32 {
    let _ = 5;
}

#[memory_limit(100, on_exceed = "error")]
fn wrong_ok() -> Result<u32, LimitExceeded> {
    Ok("text")
}

#[memory_limit(100)]
async fn wrong_async_tail() -> u32 {
    "text"
}

#[memory_limit(100, on_exceed = "error")]
async fn no_async_tail() -> Result<u32, LimitExceeded> {
    let _ = 5;
}

#[memory_limit(100)]
async fn tail_where_nothing_is_returned() {
    5
}

#[memory_limit(100)]
async fn async_names() {
    let _ = (&SITE, never);
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn names() {
    let _ = (&SITE, &PERIODIC);
    drop(_plimsoll_scope);
}

#[memory_limit(100, crate = "missing::plimsoll")]
fn wrong_crate() {}

fn main() {}
