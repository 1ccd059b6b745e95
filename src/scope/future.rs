//! [`LimitedFuture`]: a future that may hold so much and no more.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

#[cfg(feature = "tower")]
use crate::scope::metered::Making;
use crate::scope::metered::Metered;
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

/// A scope under `limit`, begun, for a future that is yet to be [made](LimitedFuture::making); otherwise as [`limited_future`].
#[cfg(feature = "tower")]
#[inline]
pub(crate) fn limited_begun<F: Future>(
    limit: &MemoryLimit,
    location: &'static Location<'static>,
) -> LimitedFuture<F> {
    let site = limit.site.unwrap_or_else(|| site_of(limit.name, location));
    LimitedFuture {
        metered: Metered::begun(site, Terms::of(limit, OnExceed::Error)),
    }
}

impl<F: Future> LimitedFuture<F> {
    /// From here to its end this thread works for the scope. Once, before the first poll.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn making(&mut self) -> Making<'_, F> {
        self.metered.making()
    }

    /// As [`Future::poll`], but what it is ready with comes apart from the verdict, which is an error when there is to be no answer: of
    /// what is pending as well, as its future is gone.
    ///
    /// # Panics
    /// As that.
    #[inline]
    pub(crate) fn poll_apart(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        verdict: &mut Result<(), LimitExceeded>,
    ) -> Poll<F::Output> {
        let this = self.project();
        let on_exceed = this.metered.terms().on_exceed();
        let polled = this.metered.poll(context, verdict);
        if let Err(exceeded) = verdict {
            match on_exceed {
                OnExceed::Warn | OnExceed::Shadow => *verdict = Ok(()),
                OnExceed::Error => {}
                OnExceed::Panic => panic!("{exceeded}"),
            }
        }
        polled
    }
}

impl<F: Future> Future for LimitedFuture<F> {
    type Output = Result<F::Output, LimitExceeded>;

    /// # Panics
    /// When polled after it was ready, and under [`OnExceed::Panic`] past its limit.
    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut verdict = Ok(());
        match (self.poll_apart(context, &mut verdict), verdict) {
            (_, Err(exceeded)) => Poll::Ready(Err(exceeded)),
            (polled, Ok(())) => polled.map(Ok),
        }
    }
}

pin_project! {
    /// What `#[memory_limit]` makes of the body of an `async fn` that warns, panics, or counts.
    #[derive(Debug)]
    pub(crate) struct AttributedFuture<F> {
        #[pin]
        limited: LimitedFuture<F>,
    }
}

/// `future` under the limit of an attribute that warns, panics, or counts.
pub(crate) fn limit_future<F: Future>(
    limit: MemoryLimit,
    location: &'static Location<'static>,
    future: F,
) -> AttributedFuture<F> {
    AttributedFuture {
        limited: LimitedFuture {
            metered: metered(future, &limit, OnExceed::Warn, location),
        },
    }
}

impl<F: Future> Future for AttributedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut verdict = Ok(());
        let polled = self.project().limited.poll_apart(context, &mut verdict);
        // The attribute has no such policy; one that stops the work without a panic would have nothing to be ready with.
        match verdict {
            Err(exceeded) if polled.is_pending() => panic!("{exceeded}"),
            _ => polled,
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
        let mut verdict = Ok(());
        match (self.project().metered.poll(context, &mut verdict), verdict) {
            (Poll::Ready(result), verdict) => Poll::Ready(result.settle(verdict)),
            (Poll::Pending, Err(exceeded)) => Poll::Ready(F::Output::stopped(exceeded)),
            (Poll::Pending, Ok(())) => Poll::Pending,
        }
    }
}
