//! [`MemoryLimitLayer`]: bounds what one request may hold.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::refusal::{Protocol, Refusal};
use crate::manager::limit_begun;
use crate::scope::{LimitedFuture, MemoryLimit};

/// Runs every request in a scope of its own; one that passes the limit is dropped at the end of the poll that passed it, and answered
/// with 503 and `Retry-After: 1`, or `RESOURCE_EXHAUSTED` where it is gRPC. Its connection goes on.
///
/// The scope lasts from the call of the service to the head of its response. A body that was built by then counts, what a
/// streamed body allocates later does not; nor does what the server itself reads from the connection, until the service copies it. A request that was
/// past the limit and has a response all the same is refused as well: what it did is done.
///
/// A limit that says what to do ([`OnExceed`](crate::OnExceed)) is obeyed: one that warns or counts stops nothing, one that panics does so in
/// the server's task. Without a name the site is the place where the layer was made; `route_layer` gives each route a limit and a site of its own.
///
/// The response's body has to have a [`Default`], which is what a refusal is sent with; that of axum, tonic, `Full`, `Empty` and boxed ones
/// is empty.
///
/// ```
/// use plimsoll::MemoryLimit;
/// use plimsoll::layers::MemoryLimitLayer;
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let app = axum::Router::<()>::new()
///     .route("/report", axum::routing::get(async || "large"))
///     .route_layer(MemoryLimitLayer::new(MemoryLimit::mib(64).named("report")));
/// # drop(app);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimitLayer {
    limit: MemoryLimit,
    location: &'static Location<'static>,
}

impl MemoryLimitLayer {
    /// Each request under `limit`.
    ///
    /// ```
    /// use plimsoll::MemoryLimit;
    /// use plimsoll::layers::MemoryLimitLayer;
    ///
    /// let layer = MemoryLimitLayer::new(MemoryLimit::mib(32).named("request"));
    /// ```
    #[track_caller]
    pub const fn new(limit: MemoryLimit) -> Self {
        MemoryLimitLayer {
            limit,
            location: Location::caller(),
        }
    }
}

impl<S> Layer<S> for MemoryLimitLayer {
    type Service = MemoryLimitService<S>;

    fn layer(&self, inner: S) -> MemoryLimitService<S> {
        MemoryLimitService {
            inner,
            layer: *self,
        }
    }
}

/// What [`MemoryLimitLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct MemoryLimitService<S> {
    inner: S,
    layer: MemoryLimitLayer,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for MemoryLimitService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: Default,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = LimitedRequest<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let protocol = Protocol::of(request.headers());
        let MemoryLimitLayer { limit, location } = &self.layer;
        let mut limited = LimitedRequest {
            answer: limit_begun(limit, location),
            protocol,
        };
        // A closure in place of these two would move the request once more.
        let making = limited.answer.making();
        making.done(self.inner.call(request));
        limited
    }
}

pin_project! {
    /// The answer of a [`MemoryLimitService`]: the service's own, or that the request held too much.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LimitedRequest<F> {
        #[pin]
        answer: LimitedFuture<F>,
        protocol: Protocol,
    }
}

impl<F, B, E> Future for LimitedRequest<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut verdict = Ok(());
        let mut polled = this.answer.poll_apart(context, &mut verdict);
        if verdict.is_err() {
            polled = Poll::Ready(Ok(Refusal::Exceeded.answer(*this.protocol)));
        }
        polled
    }
}
