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

use std::future::{Ready, ready};
use std::pin::Pin;

use futures::executor::block_on;
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

#[memory_limit(100)]
#[periodic_cleanup(100)]
#[must_use]
async fn polls_leading_items() -> usize {
    use std::mem::size_of_val;
    const BYTES: [u8; 4] = [0; 4];
    ready(()).await;
    size_of_val(&BYTES)
}

#[memory_limit(100)]
async fn polls_to_nothing() {
    ready(()).await;
}

#[memory_limit(100, on_exceed = "error")]
#[periodic_cleanup(100)]
async fn polls_mutating(mut number: u8) -> Result<u8, LimitExceeded> {
    while number < 10 {
        number += ready(five()).await?;
    }
    Ok(number)
}

#[memory_limit(100)]
async fn polls_another(number: u8) -> Result<u8, LimitExceeded> {
    polls_mutating(number).await
}

#[memory_limit(100, on_exceed = "panic")]
async fn polls_to_a_future() -> Ready<u8> {
    ready(()).await;
    ready(1)
}

#[periodic_cleanup(100)]
#[memory_limit(100, on_exceed = "shadow")]
fn returns_a_future(number: u8) -> impl Future<Output = u8> + Send {
    ready(number)
}

#[memory_limit(100, on_exceed = "error")]
fn returns_a_boxed_future(
    number: u8,
) -> Pin<Box<dyn Future<Output = Result<u8, LimitExceeded>> + Send>> {
    Box::pin(polls_another(number))
}

struct Service;

#[async_trait::async_trait]
trait Serves {
    async fn serve(&self, number: u8) -> Result<u8, LimitExceeded>;
    async fn close(self);
}

#[async_trait::async_trait]
impl Serves for Service {
    #[memory_limit(100, on_exceed = "error")]
    async fn serve(&self, number: u8) -> Result<u8, LimitExceeded> {
        polls_another(number).await
    }

    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    async fn close(self) {}
}

#[test]
fn quiet() -> Result<(), LimitExceeded> {
    returns_nothing();
    empty();
    assert_eq!(leading_items(), 4);
    assert_eq!(one_call()? + mutates(one_expression(1))?, 17);
    block_on(quiet_when_polled())
}

async fn quiet_when_polled() -> Result<(), LimitExceeded> {
    polls_to_nothing().await;
    assert_eq!(polls_leading_items().await, 4);
    assert_eq!(polls_to_a_future().await.await, 1);
    assert_eq!(returns_a_future(2).await, 2);
    assert_eq!(returns_a_boxed_future(1).await?, 11);
    assert_eq!(Service.serve(1).await?, 11);
    Service.close().await;
    Ok(())
}
