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
/// # Arguments
///
/// Exactly one of the first three is given.
///
/// | argument | meaning |
/// |---|---|
/// | `100` | the limit in MiB, an integer or a decimal such as `0.5` |
/// | `max_mb = 100` | the same; an "MB" is 1024 * 1024 bytes here |
/// | `max = "64MiB"` | the limit as text, as docker reads it: `b`, `k`, `m`, `g`, `t`, alone or as in `kb` and `kib`, in any case, always powers of 1024; without a unit: bytes |
/// | `on_exceed = "warn"` | what a call above the limit leads to: `"warn"`, `"error"` or `"panic"`, see below. Defaults to `"warn"` |
/// | `cleanup_on_exceed = true` | whether it asks for a cleanup as well. Defaults to `true` |
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
///
/// # What is counted
///
/// Bytes allocated minus freed on the calling thread, including what the function returns. Memory
/// that was there before counts in the call's favour when the call frees it; memory of the call's
/// own that another thread frees stays counted.
///
/// Not counted is what other threads allocate on behalf of the call, and what happens after it has
/// returned: in an iterator that it returned, say. Without jemalloc as the program's allocator
/// nothing is counted at all, and no limit is ever exceeded.
///
/// Arguments that the body does not move are dropped after the call has been counted. Under
/// `"error"` the body becomes a closure that takes the arguments it uses, so these are dropped
/// before. `#[track_caller]` does not reach into that closure.
///
/// # Where it goes
///
/// On functions and methods with a body, `unsafe`, `extern` and generic ones as well. Not on a
/// `const fn`, and not yet on an `async fn` or on a function that returns an `impl Future` or a
/// `dyn Future`: put the work that needs a limit into a sync function and limit that one. A future
/// behind a type alias, such as `BoxFuture`, is not recognised, and the limit then covers no more
/// than its creation.
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
