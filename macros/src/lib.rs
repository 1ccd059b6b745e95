//! The attributes of [plimsoll](https://docs.rs/plimsoll). Use them from there: what they expand to names
//! `::plimsoll::__private`, and only the `plimsoll` that re-exports this version is sure to fit it.

mod expand;
mod parse;

use proc_macro::TokenStream;
use syn::Result;
use syn::parse::{ParseStream, Parser};

use self::parse::Function;

/// Finds the call that takes too much: limits the memory that one call of a function may hold, and
/// names the function when it holds more.
///
/// ```
/// use plimsoll::memory_limit;
///
/// #[memory_limit(100)]
/// fn parse(text: &str) -> Vec<u64> {
///     text.lines().filter_map(|line| line.parse().ok()).collect()
/// }
/// # assert_eq!(parse("1\n2"), [1, 2]);
/// ```
///
/// Above 100 MiB this warns and asks for a cleanup; the call goes on. With `on_exceed = "error"` it
/// stops instead, at the next checkpoint or when it returns:
///
/// ```
/// use plimsoll::{LimitExceeded, memory_limit};
///
/// #[derive(Debug)]
/// enum ImportError {
///     NotANumber,
///     TooMuchMemory(LimitExceeded),
/// }
///
/// impl From<LimitExceeded> for ImportError {
///     fn from(exceeded: LimitExceeded) -> Self {
///         Self::TooMuchMemory(exceeded)
///     }
/// }
///
/// #[memory_limit(max = "64MiB", on_exceed = "error")]
/// fn import(text: &str) -> Result<Vec<u64>, ImportError> {
///     let mut numbers = Vec::new();
///     for line in text.lines() {
///         plimsoll::checkpoint()?;
///         numbers.push(line.parse().map_err(|_| ImportError::NotANumber)?);
///     }
///     Ok(numbers)
/// }
/// # assert_eq!(import("1\n2").unwrap(), [1, 2]);
/// # assert!(matches!(import("x"), Err(ImportError::NotANumber)));
/// ```
///
/// A limit on an `async fn` goes with its future from poll to poll and from thread to thread. Above
/// it, `"error"` drops the future where it next waits:
///
/// ```
/// use plimsoll::{LimitExceeded, memory_limit};
/// # use std::task::{Context, Poll, Waker};
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// # async fn next_part() -> Vec<u8> {
/// #     let mut waits = true;
/// #     std::future::poll_fn(|_| match std::mem::take(&mut waits) {
/// #         true => Poll::Pending,
/// #         false => Poll::Ready(vec![1; 256 << 10]),
/// #     })
/// #     .await
/// # }
///
/// #[memory_limit(1, on_exceed = "error")]
/// async fn collect(count: usize) -> Result<Vec<Vec<u8>>, LimitExceeded> {
///     let mut parts = Vec::new();
///     while parts.len() < count {
///         parts.push(next_part().await); // 256 KiB
///     }
///     Ok(parts)
/// }
/// # fn block_on<T>(future: impl Future<Output = T>) -> T {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = Context::from_waker(Waker::noop());
/// #     let ready = (0..9).map(|_| future.as_mut().poll(&mut context)).find(Poll::is_ready);
/// #     let Some(Poll::Ready(result)) = ready else { panic!("not stopped") };
/// #     result
/// # }
///
/// assert!(block_on(collect(2)).is_ok());
/// assert!(block_on(collect(100)).is_err()); // long before the hundredth
/// ```
///
/// # Arguments
///
/// Exactly one of the first three is given.
///
/// | argument | meaning |
/// |---|---|
/// | `100` | the limit in MiB, an integer or a decimal such as `0.5` |
/// | `max_mb = 100` | the same; an "MB" is 1024 * 1024 bytes here |
/// | `max = "64MiB"` | the limit as text, as docker reads it: `b`, `k`, `m`, `g`, `t`, alone or as in `kb` and `kib`, in any case, always powers of 1024; without a unit: bytes |
/// | `on_exceed = "warn"` | what a call above the limit leads to: `"warn"`, `"error"`, `"panic"` or `"shadow"`, see below. Defaults to `"warn"` |
/// | `cleanup_on_exceed = true` | whether it asks for a cleanup as well: a purge, with cleanup hooks above the Elevated line. Defaults to `true` |
/// | `name = "parse"` | what the function is called in warnings, errors and metrics. Defaults to its path, such as `my_crate::import::parse` (of a method: without its type) |
/// | `crate = "my_crate::plimsoll"` | where the library is, for crates that re-export it. Defaults to `::plimsoll` |
///
/// All of them are literals, because the attribute is read before constants have values.
///
/// # What happens above the limit
///
/// - `"warn"`: a warning. Nothing changes for the caller.
/// - `"error"`: the call returns a `LimitExceeded`, converted by `From` to the error type of the
///   function, also if the body ended in an `Ok`. A body that failed by itself keeps its own error.
/// - `"panic"`: the call panics where it would have returned. In an `extern "C" fn` that ends the
///   process.
/// - `"shadow"`: it is counted, and that is all: no warning, no cleanup, nothing stops. This finds
///   out what a limit would stop before it does.
///
/// A future need not run to its end for that. It is looked at whenever a poll of it returns, so at
/// the first `.await` that has to wait past the limit, `"error"` drops it, with all that it holds,
/// and the caller gets the `Err`; `"panic"` panics there. Between two of these points the checkpoints
/// in the body can stop it, as they do in a sync function.
///
/// # What is counted
///
/// Bytes allocated minus freed on the calling thread, including what the function returns. Memory
/// that was there before counts in the call's favour when the call frees it; memory of the call's
/// own that another thread frees stays counted.
///
/// Of a future it is what its polls allocate and free, each on the thread that runs it, added up.
/// What the future holds from one poll to the next stays counted in between, and what the thread does
/// for others meanwhile is not. The drop of the future belongs to it as well, wherever it happens.
/// Its creation doesn't: of an `async fn` that is nothing, as no line of it runs before the first
/// poll; in a function that returns a future it is everything up to the return.
///
/// ```
/// use plimsoll::memory_limit;
/// # use std::task::{Context, Poll, Waker};
///
/// #[memory_limit(100)]
/// fn respond(request: &str) -> impl Future<Output = String> {
///     let request = request.to_uppercase(); // not counted
///     async move { request.repeat(2) } // counted
/// }
/// # let response = std::pin::pin!(respond("a")).poll(&mut Context::from_waker(Waker::noop()));
/// # assert_eq!(response, Poll::Ready("AA".to_owned()));
/// ```
///
/// Not counted is what other threads allocate on behalf of the call, tasks that it spawns included,
/// and what happens after it has returned: in an iterator that it returned, say. Without jemalloc as
/// the program's allocator nothing is counted at all, and no limit is ever exceeded.
///
/// Arguments that the body does not move are dropped after the call has been counted. Under
/// `"error"`, and in a function that returns a future, the body becomes a closure that takes the
/// arguments it uses, so these are dropped before. `#[track_caller]` does not reach into that
/// closure. The future of an `async fn` takes the arguments that its body uses in the same way.
///
/// # Where it goes
///
/// On functions and methods with a body: `async`, `unsafe`, `extern` and generic ones as well, but
/// not on a `const fn`. Also on functions that return an `impl Future` or a `Pin<Box<dyn Future>>`,
/// written out in any spelling, and so on the methods of an `async_trait`. A `Send` future stays
/// `Send`; one that is boxed is boxed once more. Under `"error"` its output is the `Result`.
///
/// Refused are futures that are only a part of what is returned, as in `Option<impl Future>`, and a
/// `Box<dyn Future>` without its `Pin`. A future behind a type alias, such as `BoxFuture`, or behind a
/// type of its own, such as `Ready`, is not recognised, and the limit then covers no more than its
/// creation.
#[proc_macro_attribute]
pub fn memory_limit(args: TokenStream, item: TokenStream) -> TokenStream {
    or_error(item.clone(), || {
        let args = syn::parse(args)?;
        expand::memory_limit(&args, function("memory_limit", item)?)
    })
}

/// Keeps a busy service from growing between its cleanups: asks for one after every so many calls
/// of a function.
///
/// ```
/// use plimsoll::periodic_cleanup;
///
/// #[periodic_cleanup(100)]
/// fn handle(request: &str) -> usize {
///     request.len()
/// }
///
/// for _ in 0..250 {
///     handle("GET /"); // two of these calls ask for a cleanup
/// }
/// ```
///
/// Asking is all that the call does: whether a cleanup is due is decided, and the cleanup is run,
/// on other threads.
///
/// # Arguments
///
/// Exactly one of the first two is given.
///
/// | argument | meaning |
/// |---|---|
/// | `100` | the number of calls from one request to the next, at least 1 |
/// | `interval_calls = 100` | the same |
/// | `name = "handle"` | what the function is called in reports. Defaults to its path, such as `my_crate::api::handle` (of a method: without its type) |
/// | `crate = "my_crate::plimsoll"` | where the library is, for crates that re-export it. Defaults to `::plimsoll` |
///
/// # What is counted
///
/// Every call as it begins, however it ends; of an `async fn`, when its future is polled first. All
/// instances of a generic function count together, and so do all implementors of a trait's default
/// method.
///
/// # Where it goes
///
/// On functions and methods with a body, `async`, `unsafe`, `extern` and generic ones as well, but
/// not on a `const fn`. It can be combined with [`macro@memory_limit`], in any order.
#[proc_macro_attribute]
pub fn periodic_cleanup(args: TokenStream, item: TokenStream) -> TokenStream {
    or_error(item.clone(), || {
        let args = syn::parse(args)?;
        Ok(expand::periodic_cleanup(
            &args,
            function("periodic_cleanup", item)?,
        ))
    })
}

fn function(attribute: &str, item: TokenStream) -> Result<Function> {
    (|input: ParseStream| Function::parse(attribute, input)).parse(item)
}

/// The expansion, or the error in front of the item as it was: without the item, one mistake would
/// become a "cannot find function" at every caller.
fn or_error(
    item: TokenStream,
    expand: impl FnOnce() -> Result<proc_macro2::TokenStream>,
) -> TokenStream {
    match expand() {
        Ok(expansion) => expansion.into(),
        Err(error) => {
            let mut tokens = TokenStream::from(error.into_compile_error());
            tokens.extend(item);
            tokens
        }
    }
}
