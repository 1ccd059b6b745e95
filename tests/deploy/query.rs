//! [`Query`]: what a panel asks Prometheus. What is known of a metric comes from the table.

use plimsoll::telemetry::{Kind, Metric, Unit, metrics};

/// What is chosen at the top of the dashboard.
const CHOSEN: &str = r#"{job=~"$job", instance=~"$instance"}"#;

pub struct Query {
    pub expr: String,
    pub legend: String,
    /// By Grafana's name for it.
    pub unit: &'static str,
    pub metrics: Vec<&'static Metric>,
    pub is_dashed: bool,
}

impl Query {
    /// PromQL with metrics in braces: `{used_bytes}` is a gauge of what is chosen, or what a counter grows in a second (one without a
    /// unit: in a minute); `{cleanups_total over range}` what it grows in the time that is shown. `legend` as Grafana takes it.
    pub fn new(template: &str, legend: &str) -> Self {
        let (mut expr, mut metrics, mut units) = (String::new(), Vec::new(), Vec::new());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a brace that ends");
            let (value, metric, unit) = match name.strip_suffix(" over range") {
                Some(name) => over_range(find(name)),
                None => now(find(name)),
            };
            expr.extend([before, &value]);
            metrics.push(metric);
            units.push(unit);
            rest = after;
        }
        expr.push_str(rest);
        units.dedup();
        let [unit] = units[..] else {
            panic!("{template}: metrics of one unit, not of {units:?}");
        };
        Query {
            expr,
            legend: legend.to_owned(),
            unit,
            metrics,
            is_dashed: false,
        }
    }

    /// One metric as it is, a line per instance and label.
    pub fn of(name: &str) -> Self {
        let labels = find(name).label_names().iter();
        let labels: Vec<_> = labels.map(|label| format!("{{{{{label}}}}}")).collect();
        Query::called(name, &labels.join(" "))
    }

    /// One metric as it is, a line per instance, called so.
    pub fn called(name: &str, what: &str) -> Self {
        let legend = format!("{{{{instance}}}} {what}");
        Query::new(&format!("{{{name}}}"), legend.trim_end())
    }

    /// A line that others are compared with.
    pub fn dashed(mut self) -> Self {
        self.is_dashed = true;
        self
    }
}

fn find(name: &str) -> &'static Metric {
    metrics()
        .find(|metric| metric.name().strip_prefix("plimsoll_") == Some(name))
        .unwrap_or_else(|| panic!("no metric {name:?} in the table"))
}

fn now(metric: &'static Metric) -> (String, &'static Metric, &'static str) {
    let series = format!("{}{CHOSEN}", metric.name());
    let rate = format!("rate({series}[$__rate_interval])");
    let (value, unit) = match (metric.kind(), metric.unit()) {
        (Kind::Gauge, _) => (series, plain(metric)),
        (Kind::Counter, Unit::Bytes) => (rate, "binBps"),
        // Seconds in a second: a share.
        (Kind::Counter, Unit::Seconds) => (rate, "percentunit"),
        // Most happen now and then.
        (Kind::Counter, Unit::Number) => (format!("60 * {rate}"), "cpm"),
        _ => panic!("{metric:?}: nobody said how to show that"),
    };
    (value, metric, unit)
}

fn over_range(metric: &'static Metric) -> (String, &'static Metric, &'static str) {
    assert_eq!(metric.kind(), Kind::Counter, "{}", metric.name());
    let value = format!("increase({}{CHOSEN}[$__range])", metric.name());
    (value, metric, plain(metric))
}

fn plain(metric: &Metric) -> &'static str {
    match metric.unit() {
        Unit::Bytes => "bytes",
        Unit::Seconds => "s",
        Unit::Ratio => "percentunit",
        Unit::Number => "short",
        _ => panic!("{metric:?}: nobody said how to show that"),
    }
}
