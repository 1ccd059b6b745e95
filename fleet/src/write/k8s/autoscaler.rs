//! VerticalPodAutoscaler: who moves the sizes.

use serde::Serialize;
use serde_yaml_ng::Mapping;

use crate::profile::{Policy, Service, Strategy};
use crate::size;
use crate::write::k8s::object::{Object, Spec};
use crate::write::yaml::map;

const MIB: u128 = 1 << 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Autoscaler {
    target_ref: Target,
    update_policy: UpdatePolicy,
    resource_policy: ResourcePolicy,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    api_version: &'static str,
    kind: &'static str,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpdatePolicy {
    update_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourcePolicy {
    container_policies: [ContainerPolicy; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPolicy {
    container_name: String,
    controlled_resources: [&'static str; 1],
    controlled_values: &'static str,
    min_allowed: Mapping,
    max_allowed: Mapping,
}

/// `autoscaling.k8s.io/v1`. Its bounds are of requests, and it moves limits in the proportion that they have to requests: so the policy's
/// bounds of the limit are brought down to the request by that.
pub(super) fn autoscaler(service: &Service, policy: &Policy) -> Object<Spec<Autoscaler>> {
    let spec = Autoscaler {
        target_ref: Target {
            api_version: "apps/v1",
            kind: if service.redis.is_some() {
                "StatefulSet"
            } else {
                "Deployment"
            },
            name: service.name.clone(),
        },
        update_policy: UpdatePolicy {
            update_mode: match policy.strategy {
                // It says what it would do.
                Strategy::Fixed => "Off",
                // As `docker update`: the pod goes on, unless the node has no room.
                Strategy::Guide | Strategy::Vpa | Strategy::Floor => "InPlaceOrRecreate",
            },
        },
        resource_policy: ResourcePolicy {
            container_policies: [ContainerPolicy {
                container_name: service.name.clone(),
                controlled_resources: ["memory"],
                controlled_values: "RequestsAndLimits",
                min_allowed: memory(request(policy.min_bytes, service).div_ceil(MIB)),
                max_allowed: memory(request(policy.max_bytes, service) / MIB),
            }],
        },
    };
    let [min, max] = [policy.min_bytes, policy.max_bytes].map(size::kubernetes);
    let kind = ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler");
    Object::new(kind, &service.name, Some(&service.name), Spec { spec })
        .annotate("plimsoll/limit-between", format!("{min} and {max}"))
}

/// What is requested when that is the limit.
fn request(limit_bytes: u64, service: &Service) -> u128 {
    let scaled = u128::from(limit_bytes) * u128::from(service.reservation_bytes);
    scaled / u128::from(service.limit_bytes.max(1))
}

fn memory(mib: u128) -> Mapping {
    // A limit is 64 bits of bytes, and no request is above it.
    let bytes = u64::try_from(mib * MIB).unwrap_or(u64::MAX);
    map([("memory", size::kubernetes(bytes))])
}
