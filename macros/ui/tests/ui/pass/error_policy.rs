//! `on_exceed = "error"` moves the body into a closure; these are the functions that a closure could break.
#![deny(warnings)]

use std::error::Error;
use std::fmt::Display;

use plimsoll::{LimitExceeded, memory_limit, periodic_cleanup};

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

#[memory_limit(100, on_exceed = "error")]
fn question_mark_and_return(text: &str) -> Result<u32, AppError> {
    if text.is_empty() {
        return Err(AppError::Number);
    }
    let number = text.parse::<u32>()?;
    Ok(number)
}

#[memory_limit(100, on_exceed = "error")]
fn alias(text: &str) -> AppResult<u32> {
    Ok(text.parse()?)
}

#[memory_limit(100, on_exceed = "error")]
fn alias_default() -> AppResult {
    Ok(())
}

#[memory_limit(100, on_exceed = "error")]
fn limit_exceeded_itself() -> Result<u32, LimitExceeded> {
    Ok(1)
}

#[memory_limit(100, on_exceed = "error")]
fn boxed_error(text: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    if text == "no" {
        Err("refused")?;
    }
    Ok(text.parse()?)
}

#[memory_limit(100, on_exceed = "error")]
fn coerces(long: bool) -> Result<Box<dyn Display>, AppError> {
    if long { Ok(Box::new("long")) } else { Ok(Box::new(1)) }
}

#[memory_limit(100, on_exceed = "error")]
fn coerces_borrowing(text: &str) -> Result<Box<dyn Display + '_>, AppError> {
    Ok(Box::new(text))
}

#[memory_limit(100, on_exceed = "error")]
fn impl_trait(bytes: &[u8]) -> Result<impl Iterator<Item = u8> + '_, AppError> {
    if bytes.is_empty() {
        return Err(AppError::Number);
    }
    let skip: usize = "1".parse()?;
    Ok(bytes.iter().copied().skip(skip))
}

#[memory_limit(100, on_exceed = "error")]
fn impl_trait_boxed_error(text: &str) -> Result<impl Fn() -> u8, Box<dyn Error>> {
    let number: u8 = text.parse()?;
    Ok(move || number)
}

#[memory_limit(100, on_exceed = "error")]
fn generic<'a, T: Display + ?Sized, const N: usize>(item: &'a T, _: [u8; N]) -> Result<(&'a T, usize), AppError>
where
    T: 'a,
{
    Ok((item, N))
}

#[memory_limit(100, on_exceed = "error")]
fn patterns((left, _): (u8, u8), [first, ..]: [u8; 3], AppStruct { bytes }: AppStruct) -> AppResult<usize> {
    Ok(usize::from(left) + usize::from(first) + bytes.len())
}

#[memory_limit(100, on_exceed = "error")]
fn mut_parameters(mut number: u32, mut items: Vec<u32>, (mut left, _): (u32, u32)) -> AppResult<Vec<u32>> {
    number += 1;
    left += 1;
    items.push(number);
    items.push(left);
    Ok(items)
}

// A closure without `move` would borrow `bytes` itself here, and could not return what it leads to.
#[memory_limit(100, on_exceed = "error")]
fn reassigned(mut bytes: &mut [u8]) -> AppResult<&mut [u8]> {
    while bytes.len() > 1 {
        bytes = &mut bytes[1..];
    }
    Ok(bytes)
}

#[memory_limit(100, on_exceed = "error")]
unsafe fn unsafe_fn(pointer: *const u8) -> AppResult<u8> {
    Ok(unsafe { *pointer })
}

#[allow(unsafe_op_in_unsafe_fn)]
#[memory_limit(100, on_exceed = "error")]
unsafe fn unsafe_body(pointer: *const u8) -> AppResult<u8> {
    Ok(*pointer)
}

#[memory_limit(100, on_exceed = "error")]
#[periodic_cleanup(100)]
#[memory_limit(200, on_exceed = "error")]
fn stacked(text: &mut String) -> AppResult<&mut str> {
    #![allow(unused_variables)]
    let unused = 1;
    text.push('!');
    Ok(text)
}

#[periodic_cleanup(100)]
#[memory_limit(100, on_exceed = "error")]
fn stacked_the_other_way<F>(mut call: F) -> AppResult<u32>
where
    F: FnMut() -> u32,
{
    Ok(call() + call())
}

struct AppStruct {
    bytes: Vec<u8>,
}

impl AppStruct {
    #[memory_limit(100, on_exceed = "error")]
    fn new(byte: u8) -> Result<Self, AppError> {
        Ok(Self { bytes: vec![byte] })
    }

    #[memory_limit(100, on_exceed = "error")]
    fn first(&mut self) -> Result<&mut u8, AppError> {
        self.bytes.first_mut().ok_or(AppError::Number)
    }

    #[memory_limit(100, on_exceed = "error")]
    fn find(&self, byte: &u8) -> AppResult<std::slice::Iter<'_, u8>> {
        let at = self.bytes.iter().position(|own| own == byte).ok_or(AppError::Number)?;
        Ok(self.bytes[at..].iter())
    }

    #[memory_limit(100, on_exceed = "error")]
    fn boxed(self: Box<Self>) -> AppResult<Box<Self>> {
        Ok(self)
    }

    #[memory_limit(100, on_exceed = "error")]
    fn pushed(mut self, byte: u8) -> AppResult<Self> {
        self.bytes.push(byte);
        Ok(self)
    }
}

trait Parser {
    type Output;

    fn parse(&self, text: &str) -> AppResult<Self::Output>;

    #[memory_limit(100, on_exceed = "error")]
    fn parse_all<'a>(&self, texts: &[&'a str]) -> AppResult<Vec<(&'a str, Self::Output)>> {
        texts.iter().map(|text| Ok((*text, self.parse(text)?))).collect()
    }
}

impl Parser for AppStruct {
    type Output = u32;

    #[memory_limit(100, on_exceed = "error")]
    fn parse(&self, text: &str) -> AppResult<Self::Output> {
        Ok(text.parse()?)
    }
}

fn main() -> AppResult {
    assert_eq!(question_mark_and_return("7")?, 7);
    assert_eq!(alias("7")?, 7);
    alias_default()?;
    assert_eq!(limit_exceeded_itself(), Ok(1));
    assert!(boxed_error("no").is_err());
    assert_eq!(coerces(true)?.to_string(), "long");
    assert_eq!(coerces_borrowing("text")?.to_string(), "text");
    assert_eq!(impl_trait(&[1, 2, 3])?.collect::<Vec<_>>(), [2, 3]);
    assert!(impl_trait_boxed_error("x").is_err());
    assert_eq!(generic("item", [0; 4])?, ("item", 4));
    assert_eq!(patterns((1, 2), [3, 4, 5], AppStruct::new(0)?)?, 5);
    assert_eq!(mut_parameters(1, vec![], (2, 0))?, [2, 3]);
    assert_eq!(reassigned(&mut [1, 2])?, [2]);
    assert_eq!(unsafe { unsafe_fn(&5) }?, 5);
    assert_eq!(unsafe { unsafe_body(&5) }?, 5);
    assert_eq!(stacked(&mut String::from("hi"))?, "hi!");
    assert_eq!(stacked_the_other_way(|| 2)?, 4);
    let mut app = AppStruct::new(1)?.pushed(2)?;
    *app.first()? = 3;
    assert_eq!(app.find(&2)?.count(), 1);
    assert_eq!(Box::new(app).boxed()?.parse_all(&["1", "2"])?, [("1", 1), ("2", 2)]);
    Ok(())
}
