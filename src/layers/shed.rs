//! [`ShedLayer`]: refuses requests while memory is short.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::refusal::{Protocol, Refusal};
use crate::manager::get_memory_manager;
use crate::pressure::PressureLevel;

/// Refuses requests from a level of pressure on: 503 with `Retry-After: 1` and no body, or `UNAVAILABLE` where the request is gRPC.
///
/// Asks [`get_memory_manager`](crate::get_memory_manager) for the level, which costs a few atomic loads. Nothing of a refused request is
/// read, and the service behind is not called. Where that makes its callers wait until it is ready, a request is judged after the wait.
///
/// ```
/// use plimsoll::PressureLevel;
/// use plimsoll::layers::ShedLayer;
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let layer = ShedLayer::from(PressureLevel::High).exempt("/health").exempt("/metrics");
/// let app = axum::Router::<()>::new().layer(layer);
/// # drop(app);
/// ```
#[derive(Clone, Debug)]
pub struct ShedLayer {
    from: PressureLevel,
    exempt: Arc<[Box<str>]>,
}

impl From<PressureLevel> for ShedLayer {
    /// Refuses from `level` on; from Normal on that is all but what is exempt.
    fn from(level: PressureLevel) -> Self {
        ShedLayer {
            from: level,
            exempt: Arc::new([]),
        }
    }
}

impl ShedLayer {
    /// What is at `path`, and below it, is always served: health checks, metrics, whatever an operator needs most when memory is short.
    /// A gRPC service is exempt by `/package.Service`. The path is the one that the layer sees: in a nested router that is what is left
    /// of it. `/` exempts everything, an empty path (a variable that is not set) nothing; a slash in front may be left out.
    ///
    /// ```
    /// use plimsoll::PressureLevel;
    /// use plimsoll::layers::ShedLayer;
    ///
    /// let layer = ShedLayer::from(PressureLevel::High).exempt("/health"); // and /health/live, but not /healthy
    /// ```
    #[must_use = "it is the returned layer that has the exemption"]
    pub fn exempt(self, path: impl Into<String>) -> Self {
        let path = path.into();
        if path.is_empty() {
            return self;
        }
        let inner = path.trim_matches('/');
        let path = match inner {
            "" => String::new(),
            inner => format!("/{inner}"),
        };
        let paths = self.exempt.iter().cloned().chain([path.into()]);
        ShedLayer {
            exempt: paths.collect(),
            ..self
        }
    }

    fn refuses(&self, path: &str) -> bool {
        get_memory_manager().pressure() >= self.from && !self.is_exempt(path)
    }

    fn is_exempt(&self, path: &str) -> bool {
        self.exempt.iter().any(|exempt| {
            path.strip_prefix(&**exempt)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = ShedService<S>;

    fn layer(&self, inner: S) -> ShedService<S> {
        ShedService {
            inner,
            layer: self.clone(),
        }
    }
}

/// What [`ShedLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct ShedService<S> {
    inner: S,
    layer: ShedLayer,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for ShedService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: Default,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ShedOrServed<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let answer = if self.layer.refuses(request.uri().path()) {
            Answer::Shed {
                protocol: Protocol::of(request.headers()),
            }
        } else {
            Answer::Served {
                future: self.inner.call(request),
            }
        };
        ShedOrServed { answer }
    }
}

pin_project! {
    /// The answer of a [`ShedService`]: the service's own, or that memory is short.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ShedOrServed<F> {
        #[pin]
        answer: Answer<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = AnswerProjection]
    enum Answer<F> {
        Served { #[pin] future: F },
        Shed { protocol: Protocol },
    }
}

impl<F, B, E> Future for ShedOrServed<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().answer.project() {
            AnswerProjection::Served { future } => future.poll(context),
            AnswerProjection::Shed { protocol } => Poll::Ready(Ok(Refusal::Shed.answer(*protocol))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exempt_is_the_path_and_what_is_below_it() {
        let layer = ShedLayer::from(PressureLevel::High)
            .exempt("/health")
            .exempt("/grpc.health.v1.Health/");
        let table = [
            ("/health", true),
            ("/health/", true),
            ("/health/live", true),
            ("/healthy", false),
            ("/", false),
            ("", false),
            ("/x/health", false),
            ("/grpc.health.v1.Health/Check", true),
        ];
        for (path, is_exempt) in table {
            assert_eq!(layer.is_exempt(path), is_exempt, "{path}");
        }
        // The root is above everything.
        assert!(
            ShedLayer::from(PressureLevel::High)
                .exempt("/")
                .is_exempt("/x")
        );
        assert!(!ShedLayer::from(PressureLevel::High).is_exempt("/x"));
        // A slash that was left out, and a variable that is not set.
        let layer = ShedLayer::from(PressureLevel::High)
            .exempt("health")
            .exempt("");
        assert!(layer.is_exempt("/health") && layer.is_exempt("/health/live"));
        assert!(!layer.is_exempt("/x"));
    }
}
