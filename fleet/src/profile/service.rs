//! [`Profile`] and [`Service`]: what a profile says, in bytes.

use crate::profile::fields::{At, Fields};
use crate::profile::problem::Problems;
use crate::profile::read::ServiceDraft;
use crate::profile::redis::read_redis;
use crate::profile::{Deploy, Policy, RedisSettings};

/// A fleet and the host it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// "production" or "development", or the file's name.
    pub name: String,
    /// Memory of the host.
    pub host_bytes: u64,
    /// What the scaler may hand out in total: the host less what the system and the engine keep.
    pub budget_bytes: u64,
    /// In the file's order.
    pub services: Vec<Service>,
}

/// One service of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// What compose and the scaler call it; the container is `crypto-<name>`, as in the guide.
    pub name: String,
    pub image: String,
    pub limit_bytes: u64,
    pub reservation_bytes: u64,
    /// Thousandths of a processor.
    pub cpu_milli: u32,
    /// Only for a Redis.
    pub redis: Option<RedisSettings>,
    /// Where `/metrics` is, if the service has it.
    pub metrics_port: Option<u16>,
    /// How it is scaled; `None`: its limit is fixed.
    pub policy: Option<Policy>,
    /// What starts it, besides its sizes.
    pub deploy: Deploy,
}

impl Profile {
    /// All limits together: what the host must be able to give at once.
    pub fn limits_bytes(&self) -> u64 {
        self.services
            .iter()
            .fold(0, |sum, service| sum.saturating_add(service.limit_bytes))
    }

    /// All reservations together.
    pub fn reservations_bytes(&self) -> u64 {
        self.services.iter().fold(0, |sum, service| {
            sum.saturating_add(service.reservation_bytes)
        })
    }
}

impl Service {
    /// What its container is called, as in the guide.
    pub fn container(&self) -> String {
        format!("crypto-{}", self.name)
    }
}

const KNOWN: &[&str] = &[
    "image",
    "limit",
    "reservation",
    "cpu",
    "metrics",
    "redis",
    "command",
    "health",
    "environment",
    "monitoring",
];

/// A service without its environment and policy.
pub(super) fn read_service(
    name: &str,
    fields: &Fields<'_>,
    problems: &mut Problems<'_>,
) -> ServiceDraft {
    fields.only(KNOWN, problems);
    let needed = [
        ("image", "\"name:version\""),
        ("limit", "\"512MB\""),
        ("reservation", "\"256MB\""),
        ("cpu", "0.5"),
    ];
    for (key, example) in needed {
        fields.need(key, example, problems);
    }
    let limit = fields.size("limit", problems);
    let reservation = fields.size("reservation", problems);
    let thousandths = |cpu: f64| cpu * 1000.0;
    let fits = |cpu: f64| {
        let milli = thousandths(cpu);
        (1.0..=1_000_000.0).contains(&milli) && (milli - milli.round()).abs() < 1e-6
    };
    let wanted =
        "a number of processors from 0.001 to 1000, with three digits at most after the point";
    let cpu = fields.number("cpu", wanted, fits, problems);
    let port = "a port from 1 to 65535";
    let metrics = fields.integer("metrics", port, |it| (1..=65535).contains(&it), problems);
    let metrics = metrics.map(|port| At {
        value: port.value as u16,
        at: port.at,
    });
    let redis = fields.table("redis", problems);
    let redis = redis.map(|redis| (redis.at(), read_redis(&redis, problems)));
    let value = |size: &Option<At<u64>>| size.as_ref().map_or(0, |size| size.value);
    let service = Service {
        name: name.to_owned(),
        image: fields
            .text("image", problems)
            .map_or_else(String::new, |image| image.value.to_owned()),
        limit_bytes: value(&limit),
        reservation_bytes: value(&reservation),
        cpu_milli: cpu.map_or(0, |cpu| thousandths(cpu.value).round() as u32),
        redis: redis.as_ref().map(|(_, (settings, _))| settings.clone()),
        metrics_port: metrics.as_ref().map(|port| port.value),
        policy: None,
        deploy: Deploy {
            command: fields.words("command", problems),
            health: fields.words("health", problems),
            environment: Vec::new(),
            monitoring: fields.flag("monitoring", problems).unwrap_or(false),
        },
    };
    ServiceDraft {
        name: At {
            value: name.to_owned(),
            at: fields.at(),
        },
        limit,
        reservation,
        metrics,
        redis: redis.map(|(at, (_, maxmemory))| (at, maxmemory)),
        environment: Vec::new(),
        service,
    }
}
