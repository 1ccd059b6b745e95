//! SEEN FROM OUTSIDE: every figure of the library in one table, and a snapshot to read them from.
//!
//! An exporter goes through [`metrics()`] once to announce them, and through their samples with every scrape:
//!
//! ```
//! use plimsoll::telemetry::{Value, metrics};
//!
//! let snapshot = plimsoll::get_memory_manager().snapshot();
//! for metric in metrics() {
//!     metric.visit(&snapshot, |labels, value| match value {
//!         Value::U64(count) => println!("{}{labels:?} {count}", metric.name()),
//!         Value::F64(number) => println!("{}{labels:?} {number}", metric.name()),
//!     });
//! }
//! ```
//!
//! What is unknown has no sample: nothing is reported as 0 because nobody could read it.

mod bounded;
#[cfg(feature = "metrics")]
pub mod facade;
mod metric;
#[cfg(feature = "opentelemetry")]
pub mod otel;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "axum")]
mod routes;
mod snapshot;
mod table;

pub use metric::{Kind, Metric, Unit, Value};
#[cfg(feature = "axum")]
pub use routes::MemoryRoutes;
#[cfg(feature = "page")]
pub use routes::WeakToken;
pub use snapshot::{HookSample, PeriodicSample, SiteSample, Snapshot};
pub use table::metrics;
