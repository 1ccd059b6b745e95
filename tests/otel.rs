//! Feature `opentelemetry`: the figures as an exporter gets them.

mod support;

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use plimsoll::telemetry::{Kind, Unit, otel};
use support::figures::{Samples, assert_hostile_site, assert_same, figures, within_a_second};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// What arrived under one name.
struct Exported {
    help: String,
    unit: String,
    is_counter: bool,
    samples: Samples,
}

fn exported(metric: &Metric) -> Exported {
    let mut samples = Samples::new();
    let mut add = |attributes: &mut dyn Iterator<Item = &KeyValue>, value| {
        let pair = |pair: &KeyValue| (pair.key.to_string(), pair.value.to_string());
        assert!(
            samples
                .insert(attributes.map(pair).collect(), value)
                .is_none()
        );
    };
    let is_counter = match metric.data() {
        AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
            let points = gauge.data_points();
            points.for_each(|point| add(&mut point.attributes(), point.value()));
            false
        }
        AggregatedMetrics::F64(MetricData::Sum(sum)) => {
            assert!(sum.is_monotonic());
            let points = sum.data_points();
            points.for_each(|point| add(&mut point.attributes(), point.value()));
            true
        }
        other => panic!("{}: {other:?}", metric.name()),
    };
    Exported {
        help: metric.description().to_owned(),
        unit: metric.unit().to_owned(),
        is_counter,
        samples,
    }
}

#[test]
fn the_exporter_gets_the_whole_table_and_nothing_else() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    otel::observe(&provider.meter("plimsoll"));
    let snapshot = within_a_second(|_| {
        exporter.reset();
        provider.force_flush().unwrap();
    });
    let mut found = HashMap::new();
    for resource in exporter.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            let name = metric.name().to_owned();
            assert!(found.insert(name, exported(metric)).is_none());
        }
    }
    assert_hostile_site(&found["plimsoll.scope_peak"].samples);
    assert!(found.contains_key("plimsoll.used") && found.contains_key("plimsoll.used_ratio"));
    for (metric, expected) in figures(&snapshot) {
        let (unit, suffix) = match metric.unit() {
            Unit::Bytes => ("By", "_bytes"),
            Unit::Seconds => ("s", "_seconds"),
            Unit::Ratio => ("1", ""),
            _ => ("", ""),
        };
        let is_counter = metric.kind() == Kind::Counter;
        let total = if is_counter { "_total" } else { "" };
        let name = metric.name().strip_suffix(total).unwrap();
        let name = name.strip_suffix(suffix).unwrap();
        let name = format!("plimsoll.{}", name.strip_prefix("plimsoll_").unwrap());
        let found = found.remove(&name).unwrap_or_else(|| panic!("no {name}"));
        assert_same(metric, &found.samples, &expected);
        assert_eq!(found.help, metric.help(), "{name}");
        assert_eq!(found.unit, unit, "{name}");
        assert_eq!(found.is_counter, is_counter, "{name}");
    }
    let more: Vec<_> = found.keys().collect();
    assert!(more.is_empty(), "{more:?}");
    provider.shutdown().unwrap();
}
