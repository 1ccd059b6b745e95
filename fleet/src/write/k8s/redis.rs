//! Redis: its configuration, its name on the network, its data.

use serde::Serialize;
use serde_yaml_ng::Mapping;

use crate::profile::{Profile, RedisSettings, Service};
use crate::size;
use crate::write::compose::REDIS_EXPORTER;
use crate::write::k8s::object::{NAME, Object, Spec};
use crate::write::k8s::workload::{
    ConfigMapVolume, Container, Mount, Port, Selector, Template, Variable, Volume,
};
use crate::write::redis;
use crate::write::yaml::{body, map};

const PORT: u16 = 6379;
const CONFIGURATION: &str = "configuration";
const DATA: &str = "data";

/// ConfigMap, Service and StatefulSet.
pub(super) fn objects(
    profile: &Profile,
    service: &Service,
    settings: &RedisSettings,
) -> Vec<String> {
    let name = service.name.as_str();
    let configuration = format!("{name}-configuration");
    let conf = redis::file(profile).map_or_else(String::new, |file| file.text);
    let config_map = ConfigMap {
        data: map([("redis.conf", conf)]),
    };
    let service_spec = ServiceSpec {
        // The name leads to the pod itself: there is one.
        cluster_ip: "None",
        selector: map([(NAME, name)]),
        ports: [ServicePort {
            name: "redis",
            port: PORT,
        }],
    };
    let set = stateful_set(service, settings, &configuration);
    vec![
        body(&Object::new(
            ("v1", "ConfigMap"),
            configuration,
            Some(name),
            config_map,
        )),
        body(&Object::new(
            ("v1", "Service"),
            name,
            Some(name),
            Spec { spec: service_spec },
        )),
        body(&Object::new(
            ("apps/v1", "StatefulSet"),
            name,
            Some(name),
            Spec { spec: set },
        )),
    ]
}

fn stateful_set(service: &Service, settings: &RedisSettings, configuration: &str) -> StatefulSet {
    let keeps = settings.appendonly || !settings.save.is_empty();
    let mut container = Container {
        args: ["redis-server", "/etc/redis/redis.conf"]
            .map(str::to_owned)
            .into(),
        volume_mounts: vec![Mount {
            name: CONFIGURATION,
            mount_path: "/etc/redis",
        }],
        ..Container::of(service)
    };
    let mut claims = Vec::new();
    if keeps {
        container.volume_mounts.push(Mount {
            name: DATA,
            mount_path: "/data",
        });
        claims.push(Claim::of(settings));
    }
    // Redis has no metrics of its own: what speaks for it is beside it.
    let exporter = Container {
        env: vec![Variable {
            name: "REDIS_ADDR".to_owned(),
            value: format!("redis://localhost:{PORT}"),
        }],
        ports: vec![Port::metrics(REDIS_EXPORTER.port)],
        ..Container::sized(
            REDIS_EXPORTER.name,
            REDIS_EXPORTER.image,
            [REDIS_EXPORTER.reservation_bytes, REDIS_EXPORTER.limit_bytes],
            REDIS_EXPORTER.cpu_milli,
        )
    };
    let volume = Volume {
        name: CONFIGURATION,
        config_map: ConfigMapVolume {
            name: configuration.to_owned(),
        },
    };
    StatefulSet {
        service_name: service.name.clone(),
        replicas: 1,
        selector: Selector::of(&service.name),
        template: Template::of(&service.name, vec![container, exporter], vec![volume]),
        volume_claim_templates: claims,
    }
}

#[derive(Serialize)]
struct ConfigMap {
    data: Mapping,
}

#[derive(Serialize)]
struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    cluster_ip: &'static str,
    selector: Mapping,
    ports: [ServicePort; 1],
}

#[derive(Serialize)]
struct ServicePort {
    name: &'static str,
    port: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatefulSet {
    service_name: String,
    replicas: u32,
    selector: Selector,
    template: Template,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volume_claim_templates: Vec<Claim>,
}

#[derive(Serialize)]
struct Claim {
    metadata: Mapping,
    spec: ClaimSpec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec {
    access_modes: [&'static str; 1],
    resources: ClaimResources,
}

#[derive(Serialize)]
struct ClaimResources {
    requests: Mapping,
}

impl Claim {
    /// Room for a snapshot, the log of writes, and the new one while that is rewritten.
    fn of(settings: &RedisSettings) -> Claim {
        let storage = settings.maxmemory_bytes.saturating_mul(4);
        Claim {
            metadata: map([("name", DATA)]),
            spec: ClaimSpec {
                access_modes: ["ReadWriteOnce"],
                resources: ClaimResources {
                    requests: map([("storage", size::kubernetes(storage))]),
                },
            },
        }
    }
}
