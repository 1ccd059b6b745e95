//! Layers for services built with [tower](https://docs.rs/tower): axum, hyper, tonic and their kin (feature `tower`).
//!
//! [`ShedLayer`] refuses requests while memory is short, [`MemoryLimitLayer`] bounds what one request may hold. Both go around
//! whatever reads bodies, the former outside of the latter: what is refused should cost nothing.
//!
//! With axum:
//!
//! ```
//! use axum::{Router, routing::post};
//! use plimsoll::layers::{MemoryLimitLayer, ShedLayer};
//! use plimsoll::{MemoryLimit, PressureLevel};
//!
//! # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
//! let app = Router::<()>::new()
//!     .route("/events", post(async |body: String| body.len().to_string()))
//!     .layer(MemoryLimitLayer::new(MemoryLimit::mib(32).named("request")))
//!     .layer(ShedLayer::from(PressureLevel::High).exempt("/health"));
//! # drop(app);
//! ```
//!
//! With hyper alone, HTTP/1 and HTTP/2:
//!
//! ```no_run
//! use std::convert::Infallible;
//!
//! use http_body_util::Full;
//! use hyper::body::{Bytes, Incoming};
//! use hyper::{Request, Response};
//! use hyper_util::rt::{TokioExecutor, TokioIo};
//! use hyper_util::server::conn::auto;
//! use hyper_util::service::TowerToHyperService;
//! use plimsoll::layers::{MemoryLimitLayer, ShedLayer};
//! use plimsoll::{MemoryLimit, PressureLevel};
//! use tokio::net::TcpListener;
//! use tower::{ServiceBuilder, service_fn};
//!
//! # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
//! async fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     // The outermost first.
//!     let service = ServiceBuilder::new()
//!         .layer(ShedLayer::from(PressureLevel::High).exempt("/health"))
//!         .layer(MemoryLimitLayer::new(MemoryLimit::mib(32).named("request")))
//!         .service(service_fn(async |_request: Request<Incoming>| {
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("served"))))
//!         }));
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let service = TowerToHyperService::new(service.clone());
//!         tokio::spawn(async move {
//!             let builder = auto::Builder::new(TokioExecutor::new());
//!             let _ = builder.serve_connection(TokioIo::new(stream), service).await;
//!         });
//!     }
//! }
//! ```
//!
//! tonic's `Server::builder()` takes them by its `layer`, and its clients see a `Status`.

mod limit;
mod refusal;
mod shed;

pub use limit::{LimitedRequest, MemoryLimitLayer, MemoryLimitService};
pub use refusal::{Refusal, refused_total};
pub use shed::{ShedLayer, ShedOrServed, ShedService};
