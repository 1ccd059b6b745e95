//! [`LimitedFuture`]: a future that may hold so much and no more.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::scope::metered::{Metered, Outcome};
use crate::scope::site::site_of;
use crate::scope::terms::Terms;
use crate::scope::{LimitExceeded, Limited, MemoryLimit, OnExceed};

pin_project! {
    /// A future with a memory limit; see [`WithMemoryLimit`](crate::WithMemoryLimit).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LimitedFuture<F> {
        #[pin]
        metered: Metered<F>,
    }
}

/// `future` under `limit`, at the site of that or of `location`.
fn metered<F: Future>(
    future: F,
    limit: &MemoryLimit,
    by_default: OnExceed,
    location: &'static Location<'static>,
) -> Metered<F> {
    let site = limit.site.unwrap_or_else(|| site_of(limit.name, location));
    Metered::new(site, Terms::of(limit, by_default), future)
}

/// What `with_memory_limit` makes of a future. A result is asked for, so unless told otherwise it stops.
pub(crate) fn limited_future<F: Future>(
    future: F,
    limit: MemoryLimit,
    location: &'static Location<'static>,
) -> LimitedFuture<F> {
    LimitedFuture {
        metered: metered(future, &limit, OnExceed::Error, location),
    }
}

/// The future that `make` returns, under `limit` from the call of `make` on; otherwise as [`limited_future`].
#[cfg(feature = "tower")]
#[inline]
pub(crate) fn limited_call<F: Future>(
    limit: &MemoryLimit,
    location: &'static Location<'static>,
    make: impl FnOnce() -> F,
) -> LimitedFuture<F> {
    let site = limit.site.unwrap_or_else(|| site_of(limit.name, location));
    LimitedFuture {
        metered: Metered::made_by(site, Terms::of(limit, OnExceed::Error), make),
    }
}

impl<F: Future> Future for LimitedFuture<F> {
    type Output = Result<F::Output, LimitExceeded>;

    /// # Panics
    /// When polled after it was ready, and under [`OnExceed::Panic`] past its limit.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let on_exceed = this.metered.terms().on_exceed();
        let result = match ready!(this.metered.poll(context)) {
            Outcome::Ready(value, verdict) => match on_exceed {
                OnExceed::Warn | OnExceed::Shadow => Ok(value),
                OnExceed::Error | OnExceed::Panic => verdict.map(|()| value),
            },
            Outcome::Stopped(exceeded) => Err(exceeded),
        };
        match (result, on_exceed) {
            (Err(exceeded), OnExceed::Panic) => panic!("{exceeded}"),
            (result, _) => Poll::Ready(result),
        }
    }
}

pin_project! {
    /// What `#[memory_limit]` makes of the body of an `async fn` that warns, panics, or counts.
    #[derive(Debug)]
    pub(crate) struct AttributedFuture<F> {
        #[pin]
        metered: Metered<F>,
    }
}

/// `future` under the limit of an attribute that warns, panics, or counts.
pub(crate) fn limit_future<F: Future>(
    limit: MemoryLimit,
    location: &'static Location<'static>,
    future: F,
) -> AttributedFuture<F> {
    AttributedFuture {
        metered: metered(future, &limit, OnExceed::Warn, location),
    }
}

impl<F: Future> Future for AttributedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let panics = this.metered.terms().on_exceed() == OnExceed::Panic;
        match ready!(this.metered.poll(context)) {
            Outcome::Ready(_, Err(exceeded)) if panics => panic!("{exceeded}"),
            Outcome::Ready(value, _) => Poll::Ready(value),
            // Of these policies only `panic` stops the work.
            Outcome::Stopped(exceeded) => panic!("{exceeded}"),
        }
    }
}

pin_project! {
    /// What `#[memory_limit(on_exceed = "error")]` makes of the body of an `async fn`.
    #[derive(Debug)]
    pub(crate) struct ErringFuture<F> {
        #[pin]
        metered: Metered<F>,
    }
}

/// `future` under the limit of an attribute that returns the error.
pub(crate) fn limit_result_future<F: Future>(
    limit: MemoryLimit,
    location: &'static Location<'static>,
    future: F,
) -> ErringFuture<F>
where
    F::Output: Limited,
{
    ErringFuture {
        metered: metered(future, &limit, OnExceed::Error, location),
    }
}

impl<F: Future> Future for ErringFuture<F>
where
    F::Output: Limited,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Poll::Ready(match ready!(self.project().metered.poll(context)) {
            Outcome::Ready(result, verdict) => result.settle(verdict),
            Outcome::Stopped(exceeded) => F::Output::stopped(exceeded),
        })
    }
}
