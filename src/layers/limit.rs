//! [`MemoryLimitLayer`]: bounds what one request may hold.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::refusal::{Protocol, Refusal};
use crate::manager::WithMemoryLimit;
use crate::scope::{LimitedFuture, MemoryLimit};

/// What a request is called that has no other name.
const SITE: &str = "request";

/// Runs every request in a scope of its own; one that passes the limit is dropped at the end of the poll that passed it, and answered
/// with 503 and `Retry-After: 1`, or `RESOURCE_EXHAUSTED` where it is gRPC.
///
/// The scope lasts from the call of the service to its response: what a streamed body allocates later is not counted, and what the response
/// holds when it is handed out is. The site is called `request` unless the limit has a name; give each route its own by
/// `route_layer`. A limit that warns or only counts ([`OnExceed`](crate::OnExceed)) stops nothing.
///
/// ```
/// use plimsoll::MemoryLimit;
/// use plimsoll::layers::MemoryLimitLayer;
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let app = axum::Router::<()>::new()
///     .route("/report", axum::routing::get(async || "large"))
///     .layer(MemoryLimitLayer::new(MemoryLimit::mib(64).named("report")));
/// # drop(app);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimitLayer {
    limit: MemoryLimit,
}

impl MemoryLimitLayer {
    /// Each request under `limit`.
    pub fn new(limit: MemoryLimit) -> Self {
        let is_named = limit.name.is_some() || limit.site.is_some();
        MemoryLimitLayer {
            limit: if is_named { limit } else { limit.named(SITE) },
        }
    }
}

impl<S> Layer<S> for MemoryLimitLayer {
    type Service = MemoryLimitService<S>;

    fn layer(&self, inner: S) -> MemoryLimitService<S> {
        MemoryLimitService {
            inner,
            limit: self.limit,
        }
    }
}

/// What [`MemoryLimitLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct MemoryLimitService<S> {
    inner: S,
    limit: MemoryLimit,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for MemoryLimitService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone,
    ResponseBody: Default,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = LimitedRequest<S, Request<RequestBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let protocol = Protocol::of(request.headers());
        // The one that was found ready is called; the call itself belongs into the scope.
        let other = self.inner.clone();
        let service = std::mem::replace(&mut self.inner, other);
        let call = Call::Due {
            due: Some((service, request)),
        };
        LimitedRequest {
            call: call.with_memory_limit(self.limit),
            protocol,
        }
    }
}

pin_project! {
    /// A call of a service that takes place when it is first polled.
    #[project = CallProjection]
    enum Call<S, R> where S: Service<R> {
        Due { due: Option<(S, R)> },
        Made { #[pin] answer: S::Future },
    }
}

impl<S: Service<R>, R> Future for Call<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let answer = match self.as_mut().project() {
                CallProjection::Made { answer } => return answer.poll(context),
                CallProjection::Due { due } => due
                    .take()
                    .map(|(mut service, request)| service.call(request)),
            };
            match answer {
                Some(answer) => self.set(Call::Made { answer }),
                // Only a call that panicked leaves it like that, and then nobody polls again.
                None => return Poll::Pending,
            }
        }
    }
}

pin_project! {
    /// The answer of a [`MemoryLimitService`]: the service's own, or that the request held too much.
    #[must_use = "futures do nothing unless polled"]
    pub struct LimitedRequest<S, R> where S: Service<R> {
        #[pin]
        call: LimitedFuture<Call<S, R>>,
        protocol: Protocol,
    }
}

impl<S, R, B> Future for LimitedRequest<S, R>
where
    S: Service<R, Response = Response<B>>,
    B: Default,
{
    type Output = Result<Response<B>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.call.poll(context)) {
            Ok(answer) => answer,
            Err(_) => Ok(Refusal::Exceeded.answer(*this.protocol)),
        })
    }
}
