//! Every kind of `async fn`: what it borrows, returns and declares stays as it was, and its future stays `Send`.
#![deny(warnings)]

use std::error::Error;
use std::fmt::Display;
use std::future::{Future, ready};

use futures::executor::block_on;
use plimsoll::{LimitExceeded, checkpoint, memory_limit, periodic_cleanup};

#[derive(Debug)]
enum AppError {
    Limit,
    Number,
}

impl From<LimitExceeded> for AppError {
    fn from(_: LimitExceeded) -> Self {
        Self::Limit
    }
}

impl From<std::num::ParseIntError> for AppError {
    fn from(_: std::num::ParseIntError) -> Self {
        Self::Number
    }
}

type AppResult<T = ()> = Result<T, AppError>;

/// Kept.
#[memory_limit(100)]
#[periodic_cleanup(100)]
#[inline]
#[must_use]
pub async fn attributes_are_kept() -> u32 {
    //! Kept as well.
    #![allow(unused_variables)]
    let unused = 1;
    ready(1).await
}

#[memory_limit(100)]
async fn returns_nothing() {}

#[memory_limit(100)]
async fn returns_unit(early: bool) -> () {
    if early {
        return;
    }
    ready(()).await
}

#[memory_limit(100, on_exceed = "shadow")]
async fn shadow() -> u32 {
    ready(1).await
}

#[memory_limit(100, on_exceed = "shadow")]
fn shadow_sync() -> u32 {
    1
}

#[memory_limit(100, on_exceed = "panic")]
async fn panics(number: u32) -> u32 {
    ready(number).await
}

#[memory_limit(100)]
async fn never() -> ! {
    loop {
        ready(()).await;
    }
}

#[memory_limit(100, on_exceed = "panic")]
async fn diverges() -> u8 {
    unreachable!()
}

#[memory_limit(100)]
async fn question_mark_and_return(text: &str) -> Result<u32, AppError> {
    if text.is_empty() {
        return Err(AppError::Number);
    }
    let number = text.parse::<u32>()?;
    Ok(ready(number).await)
}

#[memory_limit(100, on_exceed = "error")]
async fn only_question_mark(text: &str) -> AppResult {
    text.parse::<u32>()?;
    checkpoint()?;
    Ok(())
}

#[memory_limit(100, on_exceed = "error")]
async fn boxed_error(text: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    if text == "no" {
        Err("refused")?;
    }
    if text == "never" {
        return Err(Box::new(std::fmt::Error));
    }
    Ok(text.parse()?)
}

#[memory_limit(100)]
async fn coerces(long: bool) -> Box<dyn Display + Send> {
    if long {
        return Box::new("long");
    }
    Box::new(1)
}

#[memory_limit(100, on_exceed = "error")]
async fn coerces_inside(text: &str) -> Result<Box<dyn Display + Send + '_>, AppError> {
    if text.is_empty() { Ok(Box::new(1)) } else { Ok(Box::new(text)) }
}

#[memory_limit(100)]
async fn coerces_to_a_slice(bytes: &Vec<u8>) -> &[u8] {
    bytes
}

#[memory_limit(100)]
async fn coerces_to_a_pointer(double: bool) -> fn(u8) -> u8 {
    if double { |number| number * 2 } else { |number| number }
}

#[memory_limit(100)]
async fn impl_trait(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().copied().skip(1)
}

#[memory_limit(100)]
async fn impl_trait_inside(text: &str) -> Result<(impl Fn() -> u8, &impl Display), Box<dyn Error>> {
    if text.is_empty() {
        return Err(Box::new(std::fmt::Error));
    }
    let number: u8 = text.parse()?;
    Ok((move || number, const { &1 }))
}

#[memory_limit(100, on_exceed = "error")]
async fn impl_trait_deeper(text: &str) -> AppResult<Box<dyn Iterator<Item = impl Display>>> {
    let number: u8 = text.parse()?;
    Ok(Box::new([number].into_iter()))
}

#[memory_limit(100, on_exceed = "error")]
async fn impl_argument(item: impl Display, items: &mut impl Iterator<Item = u8>) -> AppResult<(String, Option<u8>)> {
    Ok((item.to_string(), items.next()))
}

#[memory_limit(100, on_exceed = "error")]
#[allow(non_snake_case)]
async fn generic<'a, T, const SITE: usize>(item: &'a T, _: [u8; SITE], output: u8) -> Result<(&'a T, usize), AppError>
where
    T: Display + ?Sized + 'a,
{
    let _plimsoll_scope = output;
    Ok((item, SITE))
}

#[memory_limit(100, on_exceed = "error")]
async fn patterns((left, _): (u8, u8), [first, ..]: [u8; 3], App { bytes }: App) -> AppResult<usize> {
    Ok(usize::from(left) + usize::from(first) + bytes.len())
}

#[memory_limit(100)]
async fn mut_parameters(mut number: u32, mut items: Vec<u32>, (mut left, _): (u32, u32)) -> Vec<u32> {
    number += 1;
    left += 1;
    items.push(number);
    ready(()).await;
    items.push(left);
    items
}

#[memory_limit(100, on_exceed = "error")]
async fn reassigned(mut bytes: &mut [u8]) -> AppResult<&mut [u8]> {
    while bytes.len() > 1 {
        bytes = &mut bytes[1..];
    }
    Ok(bytes)
}

#[allow(unsafe_op_in_unsafe_fn)]
#[memory_limit(100)]
async unsafe fn unsafe_fn(pointer: &*const u8) -> u8 {
    **pointer
}

#[memory_limit(100, on_exceed = "error")]
#[periodic_cleanup(100)]
#[memory_limit(200)]
async fn stacked(text: &mut String) -> AppResult<&mut str> {
    text.push('!');
    Ok(text)
}

#[periodic_cleanup(100)]
#[memory_limit(100)]
async fn recursive(number: u32) -> u32 {
    match number {
        0 => 0,
        _ => number + Box::pin(recursive(number - 1)).await,
    }
}

macro_rules! limited {
    ($name:ident($($argument:ident: $ty:ty),*) -> $output:ty $body:block) => {
        #[memory_limit(100, on_exceed = "error")]
        async fn $name($($argument: $ty),*) -> $output $body
    };
}
limited!(from_macro_rules(text: &str) -> AppResult<u8> { Ok(text.parse()?) });

struct App {
    bytes: Vec<u8>,
}

impl App {
    #[memory_limit(100, on_exceed = "error")]
    async fn new(byte: u8) -> Result<Self, AppError> {
        Ok(Self { bytes: vec![byte] })
    }

    #[memory_limit(100, on_exceed = "error")]
    async fn first(&mut self) -> Result<&mut u8, AppError> {
        ready(()).await;
        self.bytes.first_mut().ok_or(AppError::Number)
    }

    #[memory_limit(100)]
    async fn find(&self, byte: &u8) -> Option<std::slice::Iter<'_, u8>> {
        let at = self.bytes.iter().position(|own| own == byte)?;
        Some(self.bytes[at..].iter())
    }

    #[memory_limit(100)]
    async fn boxed(self: Box<Self>) -> Box<Self> {
        self
    }

    #[memory_limit(100)]
    async fn pushed(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }
}

trait Store {
    type Item: Send;

    fn get(&self, at: usize) -> impl Future<Output = AppResult<Self::Item>> + Send;

    #[memory_limit(100, on_exceed = "error")]
    async fn get_all(&self, places: &[usize]) -> AppResult<Vec<Self::Item>> {
        let mut items = Vec::new();
        for &at in places {
            items.push(self.get(at).await?);
        }
        Ok(items)
    }
}

impl Store for App {
    type Item = u8;

    #[memory_limit(100, on_exceed = "error")]
    async fn get(&self, at: usize) -> AppResult<Self::Item> {
        self.bytes.get(at).copied().ok_or(AppError::Number)
    }
}

fn run<F: Future + Send>(future: F) -> F::Output {
    block_on(future)
}

fn main() -> Result<(), Box<dyn Error>> {
    assert_eq!(run(attributes_are_kept()), 1);
    run(returns_nothing());
    run(returns_unit(true));
    assert_eq!(run(shadow()) + shadow_sync(), 2);
    assert_eq!(run(panics(3)), 3);
    drop((never(), diverges()));
    assert!(matches!(run(question_mark_and_return("7")), Ok(7)));
    assert!(matches!(run(only_question_mark("x")), Err(AppError::Number)));
    assert!(run(boxed_error("no")).is_err());
    assert!(run(boxed_error("never")).is_err());
    assert_eq!(run(coerces(true)).to_string(), "long");
    assert_eq!(run(coerces_inside("text")).unwrap().to_string(), "text");
    assert_eq!(run(coerces_to_a_slice(&vec![1])), [1]);
    assert_eq!(run(coerces_to_a_pointer(true))(2), 4);
    assert_eq!(run(impl_trait(&[1, 2, 3])).collect::<Vec<_>>(), [2, 3]);
    assert!(block_on(impl_trait_inside("")).is_err());
    assert_eq!(block_on(impl_trait_deeper("1")).unwrap().count(), 1);
    assert_eq!(run(impl_argument(1, &mut [2].into_iter())).unwrap(), ("1".to_owned(), Some(2)));
    assert_eq!(run(generic("item", [0; 4], 1)).unwrap(), ("item", 4));
    let app = run(App::new(0)).unwrap();
    assert_eq!(run(patterns((1, 2), [3, 4, 5], app)).unwrap(), 5);
    assert_eq!(run(mut_parameters(1, vec![], (2, 0))), [2, 3]);
    assert_eq!(run(reassigned(&mut [1, 2])).unwrap(), [2]);
    let byte: *const u8 = &5;
    assert_eq!(block_on(unsafe { unsafe_fn(&byte) }), 5);
    assert_eq!(run(stacked(&mut String::from("hi"))).unwrap(), "hi!");
    assert_eq!(run(recursive(3)), 6);
    assert_eq!(run(from_macro_rules("4")).unwrap(), 4);

    let mut app = run(run(App::new(1)).unwrap().pushed(2));
    *run(app.first()).unwrap() = 3;
    assert_eq!(run(app.find(&2)).unwrap().count(), 1);
    assert_eq!(run(app.get_all(&[0, 1])).unwrap(), [3, 2]);
    assert_eq!(run(Box::new(app).boxed()).bytes, [3, 2]);
    Ok(())
}
