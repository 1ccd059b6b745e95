//! The one table of metrics, in the order in which they are shown.

mod memory;
mod pressure;
#[cfg(test)]
mod tests;
mod work;

use crate::telemetry::Metric;

/// All metrics, in a fixed order. Which there are depends on the version of the library alone; which have samples, on what is known.
///
/// ```
/// use plimsoll::telemetry::metrics;
///
/// assert!(metrics().all(|metric| metric.name().starts_with("plimsoll_")));
/// ```
pub fn metrics() -> impl Iterator<Item = &'static Metric> + Clone {
    let parts = [memory::MEMORY, pressure::PRESSURE, work::WORK];
    parts.into_iter().flatten()
}
