//! The metrics as OpenTelemetry's instruments.
//!
//! ```
//! use opentelemetry::metrics::MeterProvider;
//! use plimsoll::telemetry::otel;
//!
//! // With the readers and exporters of the program:
//! let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder().build();
//! otel::observe(&provider.meter("plimsoll"));
//! ```
//!
//! Names and units follow OpenTelemetry's custom, so that a Prometheus exporter behind them makes those of the
//! [table](crate::telemetry::metrics) again:
//!
//! | table | instrument | unit |
//! |---|---|---|
//! | `plimsoll_heap_allocated_bytes` | `plimsoll.heap_allocated` | `By` |
//! | `plimsoll_brake_paused_seconds_total` | `plimsoll.brake_paused` | `s` |
//! | `plimsoll_used_ratio` | `plimsoll.used_ratio`, for `plimsoll.used` is taken | `1` |
//! | `plimsoll_cleanups_total` | `plimsoll.cleanups` | none |
//!
//! What is unknown is not observed. Everything is a floating-point number: one instrument has one type, and the SDK subtracts
//! what was before from a counter, which may fall (see [`SiteSample`](crate::telemetry::SiteSample)); below zero a `u64` would be
//! an absurd number. With delta temporality such a fall is a negative delta, and a counter that was away for a round comes back
//! with all it has: prefer cumulative temporality.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::manager::get_memory_manager;
use crate::telemetry::{Kind, Metric, Unit, metrics};

/// Registers an observable instrument for each metric of the table. They read the snapshot of the second, of the manager that is installed then.
///
/// Install your manager first: where there is none, the first collection makes one from the environment. A collection asks hooks for
/// their [estimates](crate::CleanupHook::estimate), while the SDK holds a lock of its own: an estimate must not make instruments.
///
/// There is no way back in opentelemetry 0.33: the provider keeps the callbacks and calls them with every collection, until it is
/// shut down or gone. To be called once per provider; twice observes the same twice. A meter without a provider drops them at once, so set
/// the provider before asking [`opentelemetry::global::meter`] for one.
///
/// ```
/// use opentelemetry::metrics::MeterProvider;
/// use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
/// use plimsoll::telemetry::otel;
///
/// let exporter = InMemoryMetricExporter::default();
/// let reader = PeriodicReader::builder(exporter.clone()).build();
/// let provider = SdkMeterProvider::builder().with_reader(reader).build();
/// otel::observe(&provider.meter("plimsoll"));
/// provider.force_flush()?;
///
/// let exported = exporter.get_finished_metrics()?;
/// let names: Vec<_> = exported
///     .iter()
///     .flat_map(|resource| resource.scope_metrics())
///     .flat_map(|scope| scope.metrics())
///     .map(|metric| metric.name())
///     .collect();
/// assert!(names.contains(&"plimsoll.resident"));
/// # provider.shutdown()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn observe(meter: &Meter) {
    for metric in metrics() {
        let (name, unit, help) = (name(metric), unit(metric), metric.help());
        let callback = move |observer: &dyn AsyncInstrument<f64>| observe_all(metric, observer);
        match metric.kind() {
            Kind::Gauge => {
                let builder = meter.f64_observable_gauge(name).with_description(help);
                builder.with_unit(unit).with_callback(callback).build();
            }
            Kind::Counter => {
                let builder = meter.f64_observable_counter(name).with_description(help);
                builder.with_unit(unit).with_callback(callback).build();
            }
        }
    }
}

fn observe_all(metric: &Metric, observer: &dyn AsyncInstrument<f64>) {
    let snapshot = get_memory_manager().snapshot();
    metric.visit(&snapshot, |labels, value| {
        let names = metric.label_names().iter();
        let attributes: Vec<_> = names
            .zip(labels)
            .map(|(&name, &label)| KeyValue::new(name, label.to_owned()))
            .collect();
        observer.observe(value.as_f64(), &attributes);
    });
}

fn name(metric: &Metric) -> String {
    let name = metric.name();
    let name = name.strip_suffix("_total").unwrap_or(name);
    let name = match metric.unit() {
        // `plimsoll_used_bytes` and `plimsoll_used_ratio` must stay two.
        Unit::Ratio => name,
        unit => name.strip_suffix(unit.suffix()).unwrap_or(name),
    };
    name.replacen("plimsoll_", "plimsoll.", 1)
}

fn unit(metric: &Metric) -> &'static str {
    match metric.unit() {
        Unit::Bytes => "By",
        Unit::Seconds => "s",
        Unit::Ratio => "1",
        Unit::Number => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// As OpenTelemetry's compatibility specification has it.
    fn prometheus(name: &str, unit: &str, kind: Kind) -> String {
        let mut name = name.replace('.', "_");
        let suffix = match (unit, kind) {
            ("By", _) => "_bytes",
            ("s", _) => "_seconds",
            ("1", Kind::Gauge) => "_ratio",
            _ => "",
        };
        if !name.ends_with(suffix) {
            name.push_str(suffix);
        }
        if kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }

    #[test]
    fn names_are_unique_and_become_those_of_the_table_again() {
        let mut seen = HashSet::new();
        for metric in metrics() {
            let name = name(metric);
            let again = prometheus(&name, unit(metric), metric.kind());
            assert_eq!(again, metric.name(), "{name}");
            let plain = name.strip_prefix("plimsoll.").unwrap_or_default();
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(!plain.is_empty() && plain.chars().all(is_plain), "{name}");
            // Whoever adds them would have them twice.
            let suffix = match metric.kind() {
                Kind::Gauge => metric.unit().suffix(),
                Kind::Counter => "_total",
            };
            let has_it = !suffix.is_empty() && name.ends_with(suffix);
            assert_eq!(has_it, metric.unit() == Unit::Ratio, "{name}");
            assert!(seen.insert(name.clone()), "{name} twice");
        }
    }
}
