//! [`Entry`]: a service as compose has it.

use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};

use crate::profile::{Profile, Service};
use crate::size;
use crate::write::redis;
use crate::write::yaml::map;

/// Where what shall outlive a container is kept, each mounted by one service.
pub(super) const VOLUMES: [&str; 3] = [REDIS_DATA, PROMETHEUS_DATA, GRAFANA_DATA];
const REDIS_DATA: &str = "redis-data";
pub(super) const PROMETHEUS_DATA: &str = "prometheus-data";
pub(super) const GRAFANA_DATA: &str = "grafana-data";

/// What the library's services want to hear before they clean up, and where whoever starts compose says it: `plimsoll scale` has the same.
/// Unset it is empty, and to a service that is none.
const CLEANUP_TOKEN: (&str, &str) = ("SERVICE_CLEANUP_TOKEN", "${PLIMSOLL_CLEANUP_TOKEN:-}");

const REDIS_CONF: &str = "/usr/local/etc/redis/redis.conf";

/// A service as compose has it, in the order in which it is written.
#[derive(Default, Serialize)]
pub(super) struct Entry {
    pub(super) image: String,
    pub(super) container_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) command: Vec<String>,
    pub(super) restart: &'static str,
    pub(super) mem_limit: String,
    pub(super) memswap_limit: String,
    pub(super) mem_reservation: String,
    pub(super) cpus: f64,
    #[serde(skip_serializing_if = "Mapping::is_empty")]
    pub(super) environment: Mapping,
    pub(super) labels: Mapping,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volumes: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) privileged: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) devices: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) healthcheck: Option<HealthCheck>,
}

#[derive(Serialize)]
pub(super) struct HealthCheck {
    test: Vec<String>,
    interval: &'static str,
    timeout: &'static str,
    retries: u32,
    start_period: &'static str,
}

impl HealthCheck {
    /// `None` without a program.
    pub(super) fn by(program: &[String]) -> Option<HealthCheck> {
        let test = || [&["CMD".to_owned()], program].concat();
        (!program.is_empty()).then(|| HealthCheck {
            test: test(),
            interval: "10s",
            timeout: "5s",
            retries: 3,
            start_period: "10s",
        })
    }
}

impl Entry {
    pub(super) fn of(service: &Service, profile: &Profile) -> Entry {
        let environment = service.deploy.environment.iter();
        let mut entry = Entry {
            image: service.image.clone(),
            command: literal(&service.deploy.command),
            environment: map(environment.map(|(name, value)| (name.as_str(), escaped(value)))),
            labels: map([("plimsoll.service", service.name.as_str())]),
            healthcheck: HealthCheck::by(&literal(&service.deploy.health)),
            ..Entry::sized(
                service.container(),
                service.limit_bytes,
                service.reservation_bytes,
                service.cpu_milli,
            )
        };
        if let Some(port) = service.metrics_port {
            let (name, value) = CLEANUP_TOKEN;
            // What the profile says wins. The value is for compose to fill in, so it is not escaped.
            entry.environment.entry(name.into()).or_insert(value.into());
            let port = port.to_string();
            // The first is for `plimsoll scale`, the others are what tools that discover targets agree on.
            let labels = map([
                ("plimsoll.metrics.port", port.as_str()),
                ("prometheus.io/scrape", "true"),
                ("prometheus.io/port", port.as_str()),
                ("prometheus.io/path", "/metrics"),
            ]);
            entry.labels.extend(labels);
        }
        if let Some(settings) = &service.redis {
            entry.command = vec!["redis-server".to_owned(), REDIS_CONF.to_owned()];
            let mount = format!("../{}:{REDIS_CONF}:ro", redis::path(profile));
            entry.volumes.push(mount);
            if settings.appendonly || !settings.save.is_empty() {
                entry.volumes.push(format!("{REDIS_DATA}:/data"));
            }
        }
        entry
    }

    /// Nothing but its name and sizes.
    pub(super) fn sized(
        container_name: String,
        limit_bytes: u64,
        reservation_bytes: u64,
        cpu_milli: u32,
    ) -> Entry {
        let limit = size::docker(limit_bytes);
        Entry {
            container_name,
            restart: "unless-stopped",
            mem_limit: limit.clone(),
            memswap_limit: limit,
            mem_reservation: size::docker(reservation_bytes),
            cpus: f64::from(cpu_milli) / 1000.0,
            ..Entry::default()
        }
    }

    pub(super) fn into_value(self) -> Value {
        // Texts, numbers and lists of these always become a value.
        serde_yaml_ng::to_value(self).unwrap_or_default()
    }
}

fn literal(words: &[String]) -> Vec<String> {
    words.iter().map(|word| escaped(word)).collect()
}

/// Compose puts a variable of its own in the place of each `$`.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}
