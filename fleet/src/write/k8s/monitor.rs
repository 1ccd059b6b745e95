//! PodMonitor and PrometheusRule: who watches.

use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};

use crate::write::k8s::object::{NAME, Object, PART_OF, Spec};
use crate::write::prometheus::ALERTS;
use crate::write::yaml::map;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodMonitor {
    job_label: &'static str,
    selector: Selector,
    pod_metrics_endpoints: [Endpoint; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    match_labels: Mapping,
}

#[derive(Serialize)]
struct Endpoint {
    port: &'static str,
    path: &'static str,
    interval: &'static str,
}

/// `monitoring.coreos.com/v1`. Each service is a job of its own, so that alerts name it.
pub(super) fn pod_monitor() -> Object<Spec<PodMonitor>> {
    let spec = PodMonitor {
        job_label: NAME,
        selector: Selector {
            match_labels: map([PART_OF]),
        },
        pod_metrics_endpoints: [Endpoint {
            port: "metrics",
            path: "/metrics",
            interval: "15s",
        }],
    };
    let kind = ("monitoring.coreos.com/v1", "PodMonitor");
    Object::new(kind, "fleet", None, Spec { spec })
}

#[derive(Serialize)]
pub(super) struct Rule {
    groups: Value,
}

/// `monitoring.coreos.com/v1`, with the alerts of the repository: a rule file has the form of its `spec`.
pub(super) fn rule() -> Object<Spec<Rule>> {
    // A test reads them, so they can be read.
    let mut alerts: Mapping = serde_yaml_ng::from_str(ALERTS).unwrap_or_default();
    let groups = alerts.remove("groups").unwrap_or_default();
    let kind = ("monitoring.coreos.com/v1", "PrometheusRule");
    let spec = Rule { groups };
    Object::new(kind, "fleet", None, Spec { spec })
}
