//! Prometheus, Grafana and the exporters.

use serde_yaml_ng::Mapping;

use crate::profile::Profile;
use crate::write::compose::entry::{Entry, GRAFANA_DATA, PROMETHEUS_DATA};
use crate::write::compose::exporter;

/// Services of the profile that are for the monitoring, each with what it mounts, and the exporters.
pub(super) fn services(profile: &Profile) -> Mapping {
    let mut services = Mapping::new();
    let monitoring = profile.services.iter().filter(|it| it.deploy.monitoring);
    for service in monitoring {
        let mut entry = Entry::of(service, profile);
        match service.name.as_str() {
            "prometheus" => prometheus(&mut entry),
            "grafana" => grafana(&mut entry),
            _ => {}
        }
        services.insert(service.name.as_str().into(), entry.into_value());
    }
    for (name, entry) in exporter::entries(profile) {
        services.insert(name.into(), entry.into_value());
    }
    services
}

// Ports are the host's own only: neither has a password of yours yet.
fn prometheus(entry: &mut Entry) {
    entry.command = [
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
        "--storage.tsdb.retention.time=15d",
    ]
    .map(str::to_owned)
    .into();
    entry.ports = vec!["127.0.0.1:9090:9090".to_owned()];
    entry.volumes = vec![
        "../prometheus/prometheus.fleet.yml:/etc/prometheus/prometheus.yml:ro".to_owned(),
        "../prometheus/alerts.yml:/etc/prometheus/alerts.yml:ro".to_owned(),
        format!("{PROMETHEUS_DATA}:/prometheus"),
    ];
}

fn grafana(entry: &mut Entry) {
    entry.ports = vec!["127.0.0.1:3000:3000".to_owned()];
    entry.volumes = vec![
        "../grafana/provisioning:/etc/grafana/provisioning:ro".to_owned(),
        "../grafana/plimsoll.json:/var/lib/grafana/dashboards/plimsoll.json:ro".to_owned(),
        format!("{GRAFANA_DATA}:/var/lib/grafana"),
    ];
}
