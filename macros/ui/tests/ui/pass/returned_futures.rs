//! Every kind of function that returns a future, which is also what `async_trait` makes of an `async fn`: what it borrows,
//! returns and declares stays as it was, and its future stays `Send`.
#![deny(warnings)]

use std::fmt::Display;
use std::future::{Future, ready};
use std::pin::Pin;

use futures::executor::block_on;
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
fn recursive_boxed(number: u32) -> Pin<Box<dyn Future<Output = AppResult<u32>> + Send>> {
    Box::pin(async move {
        match number {
            0 => Ok(0),
            _ => Ok(number + recursive_boxed(number - 1).await?),
        }
    })
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
fn impl_future(text: &str) -> impl Send + Future<Output = usize> {
    async { text.len() }
}

#[memory_limit(100, on_exceed = "error")]
fn impl_future_result(text: &str) -> impl Future<Output = AppResult<u8>> + use<> {
    let parsed = text.parse::<u8>();
    async move { Ok(parsed?) }
}

#[memory_limit(100, on_exceed = "panic")]
fn impl_future_unpin(early: bool) -> impl std::future::Future<Output = u8> + Unpin {
    if early {
        return ready(1);
    }
    ready(2)
}

#[memory_limit(100)]
#[periodic_cleanup(100)]
#[memory_limit(200, on_exceed = "shadow")]
fn boxed_future<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = usize> + 'a>> {
    if text.is_empty() {
        return Box::pin(ready(0));
    }
    Box::pin(async move { text.len() })
}

#[memory_limit(100, on_exceed = "error")]
fn boxed_future_elided(text: &mut String) -> std::pin::Pin<std::boxed::Box<dyn Send + Future<Output = AppResult<&str>> + '_>> {
    Box::pin(async {
        text.push('!');
        Ok(text.as_str())
    })
}

#[memory_limit(100)]
fn boxed_impl_future(number: u8) -> Pin<Box<impl Future<Output = u8>>> {
    Box::pin(async move { number })
}

macro_rules! limited {
    ($name:ident($($argument:ident: $ty:ty),*) -> $output:ty $body:block) => {
        #[memory_limit(100, on_exceed = "error")]
        fn $name($($argument: $ty),*) -> $output $body
    };
}
limited!(from_macro_rules(text: &'static str) -> Pin<Box<dyn Future<Output = AppResult<u8>>>> {
    Box::pin(async { Ok(text.parse()?) })
});

#[rustfmt::skip]
#[periodic_cleanup(100)]
#[memory_limit(100)]
fn on_one_line() -> impl Future { ready(()) }

struct App {
    bytes: Vec<u8>,
}

impl App {
    #[memory_limit(100)]
    fn len(&self) -> impl Future<Output = usize> + Send {
        async { self.bytes.len() }
    }
}

#[async_trait::async_trait]
trait Service {
    async fn call(&mut self, request: &str) -> AppResult<&mut u8>;

    #[memory_limit(100)]
    async fn call_all(&mut self, requests: Vec<&str>) -> AppResult<Box<dyn Display + Send>> {
        for request in requests {
            self.call(request).await?;
        }
        Ok(Box::new("done"))
    }

    #[memory_limit(100)]
    #[periodic_cleanup(100)]
    async fn close(self: Box<Self>) {}
}

#[async_trait::async_trait]
impl Service for App {
    #[memory_limit(100, on_exceed = "error")]
    async fn call(&mut self, request: &str) -> AppResult<&mut u8> {
        self.bytes.push(request.parse()?);
        self.bytes.first_mut().ok_or(AppError::Number)
    }
}

#[async_trait::async_trait(?Send)]
trait Local {
    #[memory_limit(100)]
    async fn local(&self, number: std::rc::Rc<u8>) -> u8 {
        ready(()).await;
        *number
    }
}

impl Local for App {}

fn run<F: Future + Send>(future: F) -> F::Output {
    block_on(future)
}

fn main() {
    assert_eq!(run(recursive_boxed(3)).unwrap(), 6);
    assert_eq!(run(impl_future("four")), 4);
    assert_eq!(run(impl_future_result(&String::from("4"))).unwrap(), 4);
    assert_eq!(block_on(impl_future_unpin(true)), 1);
    assert_eq!(block_on(boxed_future("four")), 4);
    assert_eq!(run(boxed_future_elided(&mut String::from("hi"))).unwrap(), "hi!");
    assert_eq!(run(boxed_impl_future(4)), 4);
    let mut app = App { bytes: vec![3, 2] };
    assert_eq!(run(app.len()), 2);
    assert_eq!(run(app.call("9")).unwrap(), &3);
    assert_eq!(run(app.call_all(vec!["1", "2"])).unwrap().to_string(), "done");
    assert_eq!(block_on(app.local(std::rc::Rc::new(8))), 8);
    run(Box::new(app).close());
    block_on(from_macro_rules("4")).unwrap();
    block_on(on_one_line());
}
