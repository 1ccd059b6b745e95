//! The same fleet for Kubernetes: workloads, and who sizes and watches them.
//!
//! Kubernetes does there what `plimsoll scale` does on one machine: the VerticalPodAutoscaler moves requests, and limits with them in the
//! proportion that a profile gives. Prometheus and Grafana are its operator's; what a profile says of them is not written.
//!
//! Consulted: `apps/v1` and `v1` as of Kubernetes 1.33, `autoscaling.k8s.io/v1` of vertical-pod-autoscaler 1.7.1, `monitoring.coreos.com/v1`
//! of prometheus-operator 0.93.0.

mod autoscaler;
mod monitor;
mod object;
mod redis;
mod workload;

use crate::profile::Profile;
use crate::write::yaml::{body, comment};

const HEADING: &str = "\
Written by `plimsoll k8s`: change the profile. Apply it with: kubectl apply -f FILE
It needs, installed first: Kubernetes 1.33, the vertical-pod-autoscaler 1.5 (or 1.4 with --feature-gates=InPlaceOrRecreate=true on its
updater and its admission controller), the prometheus-operator, and the images where the cluster can pull them. A Prometheus that selects
by label (kube-prometheus-stack: release) wants it on podmonitor/fleet and prometheusrule/fleet.
";

/// All objects, as one stream of YAML documents.
pub fn manifest(profile: &Profile) -> String {
    let mut documents = Vec::new();
    let services = profile.services.iter();
    for service in services.filter(|service| !service.deploy.monitoring) {
        match &service.redis {
            Some(settings) => documents.extend(redis::objects(profile, service, settings)),
            None => documents.push(body(&workload::deployment(service))),
        }
        if let Some(policy) = &service.policy {
            documents.push(body(&autoscaler::autoscaler(service, policy)));
        }
    }
    documents.push(body(&monitor::pod_monitor()));
    documents.push(body(&monitor::rule()));
    format!("{}---\n{}", comment(HEADING), documents.join("---\n"))
}
