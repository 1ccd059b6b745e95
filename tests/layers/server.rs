//! [`Server`]: the service behind the layers, behind a socket.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::any;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use plimsoll::PressureLevel;
use plimsoll::layers::{MemoryLimitLayer, MemoryLimitService, ShedLayer};
use tokio::net::TcpListener;
use tower::layer::layer_fn;
use tower::util::MapRequestLayer;
use tower::{Layer, Service, ServiceBuilder, service_fn};

use crate::app::{App, Counted, LARGE, LIMIT, OTHERS};

type Answered = UnsyncBoxBody<Bytes, Infallible>;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Axum,
    Hyper,
    /// hyper over HTTP/2, with the messages, trailers and content types of gRPC.
    Grpc,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Axum, Kind::Hyper, Kind::Grpc];
    pub const HTTP_1: [Kind; 2] = [Kind::Axum, Kind::Hyper];
}

/// A server that ends with its runtime.
pub struct Server {
    pub kind: Kind,
    pub address: SocketAddr,
    pub app: App,
}

impl Server {
    pub async fn start(kind: Kind) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::default();
        match kind {
            Kind::Axum => {
                let router = router(&app);
                tokio::spawn(async move { axum::serve(listener, router).await });
            }
            Kind::Hyper | Kind::Grpc => drop(tokio::spawn(accept(listener, kind, app.clone()))),
        }
        Server { kind, address, app }
    }
}

fn shed() -> ShedLayer {
    ShedLayer::from(PressureLevel::High).exempt("/health")
}

fn router(app: &App) -> Router {
    let serves = || {
        let app = app.clone();
        any(async move |request: axum::extract::Request| {
            let (head, body) = request.into_parts();
            app.clone().serve(head.uri.path().to_owned(), body).await
        })
    };
    let counted = {
        let app = app.clone();
        move |request: axum::extract::Request| {
            request.map(|body| axum::body::Body::new(app.counted(body)))
        }
    };
    Router::new()
        .route("/large", serves())
        .route_layer(MemoryLimitLayer::new(LIMIT.at(&LARGE)))
        .merge(
            Router::new()
                .route("/{*path}", serves())
                .route_layer(MemoryLimitLayer::new(LIMIT.at(&OTHERS))),
        )
        .layer(shed())
        .layer(MapRequestLayer::new(counted))
}

/// The same by hand.
async fn accept(listener: TcpListener, kind: Kind, app: App) {
    let counting = app.clone();
    let service = ServiceBuilder::new()
        .map_request(move |request: Request<Incoming>| request.map(|body| counting.counted(body)))
        .layer(shed())
        .layer(layer_fn(TwoSites::new))
        .service(service_fn(move |request: Request<Counted<Incoming>>| {
            let (head, body) = request.into_parts();
            let served = app.clone().serve(head.uri.path().to_owned(), body);
            async move { Ok::<_, Infallible>(answer(kind, served.await)) }
        }));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (io, service) = (TokioIo::new(stream), service.clone());
        tokio::spawn(async move {
            let service = TowerToHyperService::new(service);
            // A client that leaves is an error to it.
            let _ = if kind == Kind::Grpc {
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(io, service)
                    .await
            } else {
                http1::Builder::new().serve_connection(io, service).await
            };
        });
    }
}

fn answer(kind: Kind, text: Bytes) -> Response<Answered> {
    if kind == Kind::Hyper {
        return Response::new(Full::new(text).boxed_unsync());
    }
    let mut message = vec![0];
    message.extend((text.len() as u32).to_be_bytes());
    message.extend(text);
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
    let body = Full::from(message).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(body.boxed_unsync());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Limits by path, as axum's `route_layer` has them.
#[derive(Clone)]
struct TwoSites<S> {
    large: MemoryLimitService<S>,
    others: MemoryLimitService<S>,
}

impl<S: Clone> TwoSites<S> {
    fn new(service: S) -> Self {
        TwoSites {
            large: MemoryLimitLayer::new(LIMIT.at(&LARGE)).layer(service.clone()),
            others: MemoryLimitLayer::new(LIMIT.at(&OTHERS)).layer(service),
        }
    }
}

impl<S, B, A: Default> Service<Request<B>> for TwoSites<S>
where
    S: Service<Request<B>, Response = Response<A>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = <MemoryLimitService<S> as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.large.poll_ready(context)? {
            Poll::Ready(()) => self.others.poll_ready(context),
            Poll::Pending => Poll::Pending,
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.uri().path() {
            "/large" => self.large.call(request),
            _ => self.others.call(request),
        }
    }
}
