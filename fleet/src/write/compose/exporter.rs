//! Exporters: what speaks to Prometheus for those who can't.

use crate::profile::Profile;
use crate::write::compose::entry::Entry;
use crate::write::yaml::map;

const MIB: u64 = 1 << 20;

/// An exporter. Its sizes are ours: no table has it.
pub(in crate::write) struct Exporter {
    pub(in crate::write) name: &'static str,
    pub(in crate::write) image: &'static str,
    pub(in crate::write) port: u16,
    pub(in crate::write) limit_bytes: u64,
    pub(in crate::write) reservation_bytes: u64,
    pub(in crate::write) cpu_milli: u32,
}

/// Redis in numbers, for the alert RedisHighMemory.
pub(in crate::write) const REDIS_EXPORTER: Exporter = Exporter {
    name: "redis-exporter",
    image: "oliver006/redis_exporter:v1.62.0",
    port: 9121,
    limit_bytes: 64 * MIB,
    reservation_bytes: 32 * MIB,
    cpu_milli: 100,
};

/// Containers in numbers, for ContainerHighMemory, ContainerRestarting and OomKilled.
pub(in crate::write) const CADVISOR: Exporter = Exporter {
    name: "cadvisor",
    image: "gcr.io/cadvisor/cadvisor:v0.49.1",
    port: 8080,
    limit_bytes: 256 * MIB,
    reservation_bytes: 128 * MIB,
    cpu_milli: 300,
};

impl Exporter {
    fn entry(&self) -> Entry {
        Entry {
            image: self.image.to_owned(),
            labels: map([("plimsoll.service", self.name)]),
            ..Entry::sized(
                format!("crypto-{}", self.name),
                self.limit_bytes,
                self.reservation_bytes,
                self.cpu_milli,
            )
        }
    }
}

/// Those that the fleet needs.
pub(super) fn entries(profile: &Profile) -> Vec<(&'static str, Entry)> {
    let mut entries = Vec::new();
    if let Some(redis) = profile.services.iter().find(|it| it.redis.is_some()) {
        let address = format!("redis://{}:6379", redis.name);
        let entry = Entry {
            environment: map([("REDIS_ADDR", address)]),
            ..REDIS_EXPORTER.entry()
        };
        entries.push((REDIS_EXPORTER.name, entry));
    }
    let entry = Entry {
        command: ["--docker_only=true", "--housekeeping_interval=10s"]
            .map(str::to_owned)
            .into(),
        // It reads the cgroups of all, and kills from the kernel's log.
        privileged: true,
        devices: vec!["/dev/kmsg".to_owned()],
        volumes: [
            "/:/rootfs:ro",
            "/var/run:/var/run:ro",
            "/sys:/sys:ro",
            "/var/lib/docker:/var/lib/docker:ro",
        ]
        .map(str::to_owned)
        .into(),
        ..CADVISOR.entry()
    };
    entries.push((CADVISOR.name, entry));
    entries
}
