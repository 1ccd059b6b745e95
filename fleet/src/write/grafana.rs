//! What makes Grafana show the dashboard without a hand.

use crate::write::WrittenFile;

const DASHBOARD: &str = include_str!("../../../deploy/grafana/plimsoll.json");

const DATASOURCES: &str = "\
# Written by `plimsoll compose`.
apiVersion: 1
datasources:
- name: Prometheus
  type: prometheus
  access: proxy
  url: http://prometheus:9090
  isDefault: true
";

const PROVIDERS: &str = "\
# Written by `plimsoll compose`.
apiVersion: 1
providers:
- name: plimsoll
  type: file
  options:
    path: /var/lib/grafana/dashboards
";

/// The dashboard, and how Grafana finds it and Prometheus.
pub fn files() -> Vec<WrittenFile> {
    let file = |path: &str, text: &str| WrittenFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    vec![
        file("grafana/plimsoll.json", DASHBOARD),
        file(
            "grafana/provisioning/datasources/prometheus.yml",
            DATASOURCES,
        ),
        file("grafana/provisioning/dashboards/plimsoll.yml", PROVIDERS),
    ]
}
