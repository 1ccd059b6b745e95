//! Kubernetes objects: fields that the published types have, and the profile's sizes in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use plimsoll_fleet::profile::{Strategy, load};
use plimsoll_fleet::write::k8s::manifest;
use serde::Deserialize;
use serde_yaml_ng::Value;

/// What we write of each kind, as the published types name it: `apps/v1` and `v1` of Kubernetes 1.33, the custom resource definitions of
/// vertical-pod-autoscaler 1.7.1 and of prometheus-operator 0.93.0. `*` takes any key, `!` has to be there.
const TYPES: [(&str, &str, &[&str]); 7] = [
    ("v1", "ConfigMap", &["data.*"]),
    (
        "v1",
        "Service",
        &[
            "spec.clusterIP",
            "spec.selector.*",
            "spec.ports.name",
            "spec.ports.port!",
        ],
    ),
    ("apps/v1", "Deployment", &["spec.replicas"]),
    (
        "apps/v1",
        "StatefulSet",
        &[
            "spec.replicas",
            "spec.serviceName",
            "spec.volumeClaimTemplates.metadata.name",
            "spec.volumeClaimTemplates.spec.accessModes",
            "spec.volumeClaimTemplates.spec.resources.requests.storage",
        ],
    ),
    (
        "autoscaling.k8s.io/v1",
        "VerticalPodAutoscaler",
        &[
            "spec.targetRef.apiVersion",
            "spec.targetRef.kind!",
            "spec.targetRef.name!",
            "spec.updatePolicy.updateMode",
            "spec.resourcePolicy.containerPolicies.containerName",
            "spec.resourcePolicy.containerPolicies.controlledResources",
            "spec.resourcePolicy.containerPolicies.controlledValues",
            "spec.resourcePolicy.containerPolicies.minAllowed.memory",
            "spec.resourcePolicy.containerPolicies.maxAllowed.memory",
        ],
    ),
    (
        "monitoring.coreos.com/v1",
        "PodMonitor",
        &[
            "spec.jobLabel",
            "spec.selector.matchLabels.*!",
            "spec.podMetricsEndpoints.port",
            "spec.podMetricsEndpoints.path",
            "spec.podMetricsEndpoints.interval",
        ],
    ),
    (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        &[
            "spec.groups.name!",
            "spec.groups.rules.alert",
            "spec.groups.rules.expr!",
            "spec.groups.rules.for",
            "spec.groups.rules.labels.*",
            "spec.groups.rules.annotations.*",
        ],
    ),
];

const EVERY: [&str; 5] = [
    "apiVersion!",
    "kind!",
    "metadata.name!",
    "metadata.labels.*",
    "metadata.annotations.*",
];

/// What Deployment and StatefulSet share, below `spec`.
const WORKLOAD: [&str; 22] = [
    "selector.matchLabels.*!",
    "template.metadata.labels.*!",
    "template.spec.containers.name!",
    "template.spec.containers.image",
    "template.spec.containers.args",
    "template.spec.containers.env.name!",
    "template.spec.containers.env.value",
    "template.spec.containers.ports.name",
    "template.spec.containers.ports.containerPort!",
    "template.spec.containers.resources.requests.memory",
    "template.spec.containers.resources.limits.memory",
    "template.spec.containers.resources.limits.cpu",
    "template.spec.containers.readinessProbe.exec.command",
    "template.spec.containers.readinessProbe.periodSeconds",
    "template.spec.containers.readinessProbe.timeoutSeconds",
    "template.spec.containers.livenessProbe.exec.command",
    "template.spec.containers.livenessProbe.periodSeconds",
    "template.spec.containers.livenessProbe.timeoutSeconds",
    "template.spec.containers.volumeMounts.name!",
    "template.spec.containers.volumeMounts.mountPath!",
    "template.spec.volumes.name!",
    "template.spec.volumes.configMap.name",
];

fn objects(profile: &str) -> Vec<Value> {
    let text = manifest(&load(profile).unwrap());
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    let found = path
        .split('.')
        .fold(value, |value, key| match key.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[key],
        });
    found
        .as_str()
        .unwrap_or_else(|| panic!("{path}: {value:?}"))
}

fn of<'v>(objects: &'v [Value], kind: &str, name: &str) -> Option<&'v Value> {
    objects
        .iter()
        .find(|it| text(it, "kind") == kind && text(it, "metadata.name") == name)
}

/// The paths of all values, without the indices of lists.
fn paths(value: &Value, above: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                let key = key.as_str().unwrap();
                let path = match above {
                    "" => key.to_owned(),
                    _ => format!("{above}.{key}"),
                };
                paths(value, &path, found);
            }
        }
        Value::Sequence(list) => list.iter().for_each(|value| paths(value, above, found)),
        _ => _ = found.insert(above.to_owned()),
    }
}

#[test]
fn every_field_is_one_of_the_published_types_and_none_that_is_required_is_missing() {
    for profile in ["production", "development"] {
        for object in objects(profile) {
            let (version, kind) = (text(&object, "apiVersion"), text(&object, "kind"));
            let (.., own) = TYPES
                .iter()
                .find(|(of, named, _)| (*of, *named) == (version, kind))
                .unwrap_or_else(|| panic!("{version} {kind}"));
            let mut known: Vec<_> = EVERY
                .iter()
                .chain(*own)
                .map(|it| (*it).to_owned())
                .collect();
            if version == "apps/v1" {
                known.extend(WORKLOAD.map(|it| format!("spec.{it}")));
            }
            let mut found = BTreeSet::new();
            paths(&object, "", &mut found);
            for path in &found {
                let fits = |known: &String| {
                    let known = known.trim_end_matches('!');
                    match known.strip_suffix('*') {
                        Some(above) => path.starts_with(above),
                        None => path == known,
                    }
                };
                assert!(known.iter().any(fits), "{kind}: {path} is no field");
            }
            for known in known.iter().filter_map(|it| it.strip_suffix('!')) {
                let known = known.trim_end_matches('*');
                let (list, _) = known
                    .trim_end_matches('.')
                    .rsplit_once('.')
                    .unwrap_or(("", ""));
                // What is required in a list's elements is so where there is such a list.
                let there = ["env", "ports", "volumeMounts", "volumes"]
                    .iter()
                    .all(|it| {
                        !list.ends_with(it) || found.iter().any(|path| path.starts_with(list))
                    });
                assert!(
                    !there || found.iter().any(|path| path.starts_with(known)),
                    "{kind}: {known} is missing"
                );
            }
        }
    }
}

#[test]
fn requests_are_reservations_and_limits_are_limits() {
    let objects = objects("production");
    let table = [
        ("StatefulSet", "redis", "1Gi", "2Gi", "1"),
        ("Deployment", "exchange-intl", "256Mi", "512Mi", "500m"),
        ("Deployment", "exchange-kr", "256Mi", "512Mi", "500m"),
        ("Deployment", "blockchain", "384Mi", "768Mi", "500m"),
        ("Deployment", "telegram", "384Mi", "768Mi", "500m"),
        ("Deployment", "news", "192Mi", "384Mi", "300m"),
        ("Deployment", "fusion", "768Mi", "1536Mi", "1"),
        ("Deployment", "pusher", "192Mi", "384Mi", "300m"),
        ("Deployment", "dashboard", "256Mi", "512Mi", "500m"),
    ];
    for (kind, name, request, limit, cpu) in table {
        let object = of(&objects, kind, name).unwrap();
        let resources = |of: &str| {
            text(
                object,
                &format!("spec.template.spec.containers.0.resources.{of}"),
            )
        };
        assert_eq!(resources("requests.memory"), request, "{name}");
        assert_eq!(resources("limits.memory"), limit, "{name}");
        assert_eq!(resources("limits.cpu"), cpu, "{name}");
    }
    // These are the operator's.
    assert!(of(&objects, "Deployment", "prometheus").is_none());
}

#[test]
fn a_pod_is_found_by_what_selects_it() {
    let objects = objects("production");
    let monitor = of(&objects, "PodMonitor", "fleet").unwrap();
    let mut watched = 0;
    for object in &objects {
        let template = &object["spec"]["template"];
        if template.is_null() {
            continue;
        }
        let labels = &template["metadata"]["labels"];
        for selector in [&object["spec"]["selector"], &monitor["spec"]["selector"]] {
            for (name, value) in selector["matchLabels"].as_mapping().unwrap() {
                assert_eq!(labels.get(name), Some(value));
            }
        }
        let containers = template["spec"]["containers"].as_sequence().unwrap();
        let ports = containers.iter().filter_map(|it| it["ports"].as_sequence());
        let names = ports.flatten().map(|port| text(port, "name"));
        assert_eq!(names.collect::<Vec<_>>(), ["metrics"], "{object:?}");
        watched += 1;
    }
    assert_eq!(watched, 9);
}

#[test]
fn limits_stay_within_the_policys_bounds() {
    for profile in ["production", "development"] {
        let objects = objects(profile);
        for service in load(profile).unwrap().services {
            let scaler = of(&objects, "VerticalPodAutoscaler", &service.name);
            let Some(policy) = service.policy else {
                assert!(scaler.is_none(), "{}", service.name);
                continue;
            };
            let allowed = |which: &str| {
                let at = format!("spec.resourcePolicy.containerPolicies.0.{which}.memory");
                let text = text(scaler.unwrap(), &at);
                // Mi and Gi are what the profile's reader calls so with a B.
                plimsoll_fleet::size::parse(&format!("{text}B")).unwrap()
            };
            // The autoscaler keeps the proportion of limit to request.
            let limit = |request: u64| {
                u128::from(request) * u128::from(service.limit_bytes)
                    / u128::from(service.reservation_bytes)
            };
            let (least, most) = (limit(allowed("minAllowed")), limit(allowed("maxAllowed")));
            assert!(
                least >= u128::from(policy.min_bytes),
                "{}: {least}",
                service.name
            );
            assert!(
                most <= u128::from(policy.max_bytes),
                "{}: {most}",
                service.name
            );
            // And no more than a MiB of a request is lost.
            let slack = limit(1 << 20);
            assert!(least - u128::from(policy.min_bytes) < slack);
            assert!(u128::from(policy.max_bytes) - most < slack);
        }
    }
    let production = objects("production");
    let fusion = of(&production, "VerticalPodAutoscaler", "fusion").unwrap();
    let container = "spec.resourcePolicy.containerPolicies.0";
    assert_eq!(
        text(fusion, &format!("{container}.minAllowed.memory")),
        "256Mi"
    );
    assert_eq!(
        text(fusion, &format!("{container}.maxAllowed.memory")),
        "1536Mi"
    );
    assert_eq!(
        text(fusion, "spec.updatePolicy.updateMode"),
        "InPlaceOrRecreate"
    );
}

#[test]
fn a_fixed_service_is_only_advised() {
    let mut profile = load("production").unwrap();
    for service in &mut profile.services {
        if let Some(policy) = &mut service.policy {
            policy.strategy = Strategy::Fixed;
        }
    }
    let text = manifest(&profile);
    assert_eq!(text.matches("updateMode: 'Off'").count(), 8, "{text}");
    assert_eq!(text.matches("updateMode").count(), 8);
}

#[test]
fn a_dollar_stays_one() {
    let mut profile = load("production").unwrap();
    let news = profile.services.iter_mut().find(|it| it.name == "news");
    let deploy = &mut news.unwrap().deploy;
    deploy.command = vec!["$(HOME)".to_owned(), "$HOME".to_owned()];
    let text = manifest(&profile);
    assert!(text.contains("- $$(HOME)\n        - $HOME\n"), "{text}");
}

#[test]
fn the_rules_are_those_of_the_repository() {
    let objects = objects("development");
    let rule = of(&objects, "PrometheusRule", "fleet").unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml");
    let file: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(rule["spec"]["groups"], file["groups"]);
    assert!(!rule["spec"]["groups"].as_sequence().unwrap().is_empty());
}

#[test]
fn redis_has_its_configuration_and_keeps_data_only_where_it_should() {
    let production = objects("production");
    let map = of(&production, "ConfigMap", "redis-configuration").unwrap();
    assert!(
        map["data"]["redis.conf"]
            .as_str()
            .unwrap()
            .contains("\nmaxmemory 2gb\n")
    );
    let set = of(&production, "StatefulSet", "redis").unwrap();
    assert_eq!(
        text(
            set,
            "spec.volumeClaimTemplates.0.spec.resources.requests.storage"
        ),
        "8Gi"
    );
    let development = objects("development");
    let set = of(&development, "StatefulSet", "redis").unwrap();
    assert!(set["spec"].get("volumeClaimTemplates").is_none());
}

#[test]
fn the_command_prints_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let done = command
        .args(["k8s", "--profile", "development"])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(0));
    let printed = String::from_utf8(done.stdout).unwrap();
    assert_eq!(printed, manifest(&load("development").unwrap()));
}
