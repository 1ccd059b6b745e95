//! [`Profile`] and [`Service`]: what a profile says, in bytes.

use crate::profile::Policy;

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
}

/// What a `redis.conf` of ours sets.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisSettings {
    pub maxmemory_bytes: u64,
    /// "allkeys-lru".
    pub maxmemory_policy: String,
    /// Pairs of seconds and changes; none: no snapshots.
    pub save: Vec<(u32, u32)>,
    pub appendonly: bool,
}
