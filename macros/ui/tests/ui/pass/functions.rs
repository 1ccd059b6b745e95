//! Every kind of function that the attributes go on, with `warn`, `panic` and ticks: what a
//! function borrows, returns and declares stays as it was.
#![deny(warnings)]

use std::fmt::Display;
use std::future::{Future, ready};

use plimsoll::{memory_limit, periodic_cleanup};

/// Kept.
#[memory_limit(100)]
#[periodic_cleanup(100)]
#[inline]
#[must_use]
#[track_caller]
pub fn attributes_are_kept() -> u32 {
    //! Kept as well.
    #![allow(unused_variables)]
    let unused = 1;
    std::panic::Location::caller().line()
}

#[periodic_cleanup(100)]
#[memory_limit(100, on_exceed = "panic")]
fn stacked_the_other_way() -> u32 {
    1
}

#[memory_limit(100)]
#[memory_limit(200, name = "outer")]
#[periodic_cleanup(100)]
#[periodic_cleanup(200)]
fn stacked_on_itself() {}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn early_return(text: &str) -> Result<u32, std::num::ParseIntError> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse()?;
    Ok(number)
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
#[allow(non_snake_case)]
fn generic<'a, T, const SITE: usize>(items: &'a [T; SITE], PERIODIC: &str) -> impl Iterator<Item = String> + use<'a, T, SITE>
where
    T: Display,
{
    let _plimsoll_scope = PERIODIC;
    items.iter().map(T::to_string)
}

#[rustfmt::skip]
#[memory_limit(100)]
#[periodic_cleanup(100)]
fn on_one_line() -> u32 { 1 }

#[memory_limit(100)]
fn no_return() -> ! {
    panic!()
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
unsafe fn unsafe_fn(pointer: *const u8) -> u8 {
    unsafe { *pointer }
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
extern "C" fn extern_fn(number: u32) -> u32 {
    number
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
pub(crate) unsafe extern "C" fn unsafe_extern_fn() {}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn r#match(r#type: u8) -> u8 {
    r#type
}

#[periodic_cleanup(100)]
async fn async_fn(text: &str) -> usize {
    ready(text.len()).await
}

#[periodic_cleanup(100)]
fn returns_future(text: &str) -> impl Future<Output = usize> + Send {
    ready(text.len())
}

struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    fn new() -> Self {
        Self { bytes: vec![1, 2] }
    }

    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    fn first(&mut self) -> Option<&mut u8> {
        self.bytes.first_mut()
    }

    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    fn into_bytes(self: Box<Self>) -> Vec<u8> {
        self.bytes
    }

    #[periodic_cleanup(100)]
    async fn len(&self) -> usize {
        self.bytes.len()
    }
}

trait Shape {
    fn sides(&self) -> u32;

    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    fn doubled(&self) -> u32 {
        self.sides() * 2
    }
}

impl Shape for Buffer {
    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    fn sides(&self) -> u32 {
        4
    }
}

fn is_send<T: Send>(_: T) {}

fn main() {
    let _ = attributes_are_kept();
    stacked_the_other_way();
    stacked_on_itself();
    assert_eq!(early_return("7"), Ok(7));
    assert_eq!(generic(&[1, 2], "x").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(on_one_line(), 1);
    let _: fn() -> ! = no_return;
    assert_eq!(unsafe { unsafe_fn(&5) }, 5);
    assert_eq!(extern_fn(5), 5);
    unsafe { unsafe_extern_fn() };
    assert_eq!(r#match(3), 3);
    is_send(async_fn("four"));
    is_send(returns_future("four"));
    let mut buffer = Buffer::new();
    assert_eq!(buffer.first(), Some(&mut 1));
    is_send(buffer.len());
    assert_eq!(buffer.doubled(), 8);
    assert_eq!(Box::new(buffer).into_bytes(), [1, 2]);

    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    fn inside_a_function() {}
    inside_a_function();
}
