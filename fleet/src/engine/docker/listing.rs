//! A container as the engine lists it: which service it runs, and where its metrics are.

use bollard::models::ContainerSummary;

use crate::engine::Container;

/// What our compose files write.
const SERVICE_LABEL: &str = "plimsoll.service";
const METRICS_PORT_LABEL: &str = "plimsoll.metrics.port";
/// What every compose writes.
const COMPOSE_LABEL: &str = "com.docker.compose.service";
const PROJECT_LABEL: &str = "com.docker.compose.project";
/// Before the names of the guide's containers.
const PREFIX: &str = "crypto-";

/// Without its limits: a list does not have them. `None`: it has no name.
pub(super) fn container(summary: &ContainerSummary) -> Option<Container> {
    let label = |name| summary.labels.as_ref()?.get(name).map(String::as_str);
    let names = summary.names.as_deref().unwrap_or_default();
    let name = names.first().map(|name| name.trim_start_matches('/'));
    let id = name.or(summary.id.as_deref())?;
    let service = match (label(SERVICE_LABEL), id.strip_prefix(PREFIX)) {
        (Some(service), _) => service.to_owned(),
        (None, Some(rest)) => label(COMPOSE_LABEL).unwrap_or(rest).to_owned(),
        // Other projects have a dashboard too: no service of a profile has a name with a slash.
        (None, None) => {
            let project = label(PROJECT_LABEL).unwrap_or("other");
            format!("{project}/{}", label(COMPOSE_LABEL).unwrap_or(id))
        }
    };
    let port = label(METRICS_PORT_LABEL).and_then(|port| port.parse().ok());
    Some(Container {
        id: id.to_owned(),
        service,
        metrics_url: port.and_then(|port| metrics_url(summary, port)),
        limit_bytes: None,
        swap_limit_bytes: None,
    })
}

/// By the container's own address, the host's where it shares that, or a published port.
fn metrics_url(summary: &ContainerSummary, port: u16) -> Option<String> {
    let mode = summary.host_config.as_ref()?.network_mode.as_deref();
    if mode == Some("host") {
        return Some(format!("http://127.0.0.1:{port}/metrics"));
    }
    let networks = summary
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    let own = networks
        .into_iter()
        .flat_map(|networks| networks.values())
        .filter_map(|network| network.ip_address.as_deref())
        .find(|address| !address.is_empty());
    if let Some(address) = own {
        return Some(format!("http://{address}:{port}/metrics"));
    }
    let ports = summary.ports.as_deref().unwrap_or_default();
    let published = ports
        .iter()
        .find(|published| published.private_port == port)?;
    let public = published.public_port?;
    Some(format!("http://127.0.0.1:{public}/metrics"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(json: serde_json::Value) -> Container {
        container(&serde_json::from_value(json).unwrap()).unwrap()
    }

    #[test]
    fn services_are_named_by_label_else_by_name() {
        let table = [
            (serde_json::json!({}), "fusion"),
            (
                serde_json::json!({"com.docker.compose.service": "news"}),
                "news",
            ),
            (
                serde_json::json!({"com.docker.compose.service": "news", "plimsoll.service": "pusher"}),
                "pusher",
            ),
        ];
        for (labels, service) in table {
            let container = listed(
                serde_json::json!({"Id": "0af1", "Names": ["/crypto-fusion"], "Labels": labels}),
            );
            assert_eq!(container.id, "crypto-fusion");
            assert_eq!(container.service, service);
            assert_eq!(container.metrics_url, None);
        }
        let nameless = listed(serde_json::json!({"Id": "0af1"}));
        assert_eq!(
            (nameless.id.as_str(), nameless.service.as_str()),
            ("0af1", "other/0af1")
        );
    }

    #[test]
    fn a_service_of_another_project_is_not_ours() {
        let compose = "com.docker.compose.service";
        let table = [
            (serde_json::json!({}), "other/dashboard"),
            (serde_json::json!({compose: "dashboard"}), "other/dashboard"),
            (
                serde_json::json!({compose: "dashboard", "com.docker.compose.project": "shop"}),
                "shop/dashboard",
            ),
            (
                serde_json::json!({compose: "dashboard", "plimsoll.service": "dashboard"}),
                "dashboard",
            ),
        ];
        for (labels, service) in table {
            let container = listed(
                serde_json::json!({"Id": "0af1", "Names": ["/dashboard"], "Labels": labels}),
            );
            assert_eq!(container.service, service);
        }
    }

    #[test]
    fn metrics_are_where_the_network_says() {
        let table = [
            (
                "8080",
                serde_json::json!({"HostConfig": {"NetworkMode": "host"}}),
                Some("http://127.0.0.1:8080/metrics"),
            ),
            (
                "8080",
                serde_json::json!({"HostConfig": {"NetworkMode": "b"}, "NetworkSettings": {"Networks": {"b": {"IPAddress": "172.18.0.3"}}}}),
                Some("http://172.18.0.3:8080/metrics"),
            ),
            (
                "8080",
                serde_json::json!({"HostConfig": {"NetworkMode": "b"}, "Ports": [{"PrivatePort": 8080, "PublicPort": 9100, "Type": "tcp"}]}),
                Some("http://127.0.0.1:9100/metrics"),
            ),
            (
                "8080",
                serde_json::json!({"HostConfig": {"NetworkMode": "none"}, "NetworkSettings": {"Networks": {"none": {"IPAddress": ""}}}}),
                None,
            ),
            (
                "a lie",
                serde_json::json!({"HostConfig": {"NetworkMode": "host"}}),
                None,
            ),
            (
                "70000",
                serde_json::json!({"HostConfig": {"NetworkMode": "host"}}),
                None,
            ),
        ];
        for (port, mut json, url) in table {
            json["Names"] = serde_json::json!(["/x"]);
            json["Labels"] = serde_json::json!({"plimsoll.metrics.port": port});
            assert_eq!(listed(json).metrics_url.as_deref(), url);
        }
    }
}
