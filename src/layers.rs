//! Layers for services built with [tower](https://docs.rs/tower): axum, hyper, tonic and their kin (feature `tower`).
//!
//! [`ShedLayer`] refuses requests while memory is short, [`MemoryLimitLayer`] bounds what one request may hold. Both go on the outside of
//! whatever reads bodies; the service behind them sees nothing of it.
//!
//! ```
//! use plimsoll::layers::{MemoryLimitLayer, ShedLayer};
//! use plimsoll::{MemoryLimit, PressureLevel};
//!
//! # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
//! let app = axum::Router::<()>::new()
//!     .route("/events", axum::routing::post(async |body: String| body.len().to_string()))
//!     .layer(MemoryLimitLayer::new(MemoryLimit::mib(32)))
//!     .layer(ShedLayer::from(PressureLevel::High).exempt("/health"));
//! # drop(app);
//! ```

mod limit;
mod refusal;
mod shed;

pub use limit::{LimitedRequest, MemoryLimitLayer, MemoryLimitService};
pub use refusal::refused_total;
pub use shed::{ShedLayer, ShedOrServed, ShedService};
