//! Deployments and what is in them.

use serde::Serialize;
use serde_yaml_ng::Mapping;

use crate::profile::Service;
use crate::size;
use crate::write::k8s::object::{Metadata, NAME, Object, Spec, escaped, labels};
use crate::write::yaml::map;

/// `apps/v1`: a service without data of its own.
pub(super) fn deployment(service: &Service) -> Object<Spec<Deployment>> {
    let spec = Deployment {
        replicas: 1,
        selector: Selector::of(&service.name),
        template: Template::of(&service.name, vec![Container::of(service)], Vec::new()),
    };
    let kind = ("apps/v1", "Deployment");
    Object::new(kind, &service.name, Some(&service.name), Spec { spec })
}

#[derive(Serialize)]
pub(super) struct Deployment {
    replicas: u32,
    selector: Selector,
    template: Template,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selector {
    match_labels: Mapping,
}

impl Selector {
    pub(super) fn of(service: &str) -> Selector {
        Selector {
            match_labels: map([(NAME, service)]),
        }
    }
}

/// What each pod is made from.
#[derive(Serialize)]
pub(super) struct Template {
    metadata: Metadata,
    spec: Pod,
}

#[derive(Serialize)]
struct Pod {
    containers: Vec<Container>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Volume>,
}

impl Template {
    pub(super) fn of(service: &str, containers: Vec<Container>, volumes: Vec<Volume>) -> Template {
        Template {
            metadata: Metadata {
                name: None,
                labels: labels(Some(service)),
                annotations: Mapping::new(),
            },
            spec: Pod {
                containers,
                volumes,
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Volume {
    pub(super) name: &'static str,
    pub(super) config_map: ConfigMapVolume,
}

#[derive(Serialize)]
pub(super) struct ConfigMapVolume {
    pub(super) name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    /// What compose calls command: it follows the image's entrypoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) args: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) env: Vec<Variable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<Port>,
    pub(super) resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) readiness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) liveness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volume_mounts: Vec<Mount>,
}

#[derive(Serialize)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Port {
    name: &'static str,
    container_port: u16,
}

impl Port {
    /// The name by which the PodMonitor finds it.
    pub(super) fn metrics(port: u16) -> Port {
        Port {
            name: "metrics",
            container_port: port,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Resources {
    requests: Mapping,
    limits: Mapping,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Probe {
    exec: Exec,
    period_seconds: u32,
    timeout_seconds: u32,
}

#[derive(Serialize)]
struct Exec {
    command: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mount {
    pub(super) name: &'static str,
    pub(super) mount_path: &'static str,
}

impl Container {
    pub(super) fn of(service: &Service) -> Container {
        let probe = || {
            let command = service.deploy.health.clone();
            (!command.is_empty()).then_some(Probe {
                exec: Exec { command },
                period_seconds: 10,
                timeout_seconds: 5,
            })
        };
        let variables = service.deploy.environment.iter();
        let variable = |(name, value): &(String, String)| Variable {
            name: name.clone(),
            value: escaped(value),
        };
        let args = service.deploy.command.iter();
        Container {
            args: args.map(|word| escaped(word)).collect(),
            env: variables.map(variable).collect(),
            ports: service
                .metrics_port
                .map(Port::metrics)
                .into_iter()
                .collect(),
            readiness_probe: probe(),
            liveness_probe: probe(),
            ..Container::sized(
                &service.name,
                &service.image,
                [service.reservation_bytes, service.limit_bytes],
                service.cpu_milli,
            )
        }
    }

    /// Nothing but its image and sizes.
    pub(super) fn sized(
        name: &str,
        image: &str,
        [reservation_bytes, limit_bytes]: [u64; 2],
        cpu_milli: u32,
    ) -> Container {
        Container {
            name: name.to_owned(),
            image: image.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            ports: Vec::new(),
            resources: Resources {
                requests: map([("memory", size::kubernetes(reservation_bytes))]),
                limits: map([
                    ("memory", size::kubernetes(limit_bytes)),
                    ("cpu", cpu(cpu_milli)),
                ]),
            },
            readiness_probe: None,
            liveness_probe: None,
            volume_mounts: Vec::new(),
        }
    }
}

/// `500m` is half of a processor, and a whole one has no suffix.
fn cpu(milli: u32) -> String {
    if milli.is_multiple_of(1000) {
        (milli / 1000).to_string()
    } else {
        format!("{milli}m")
    }
}
