//! The compose files: production, what development has otherwise, and the monitoring.
//!
//! In the dialect of the compose specification, without `version`, which is obsolete there; docker-compose 1.29.2 takes a file without it
//! for the specification's as well (from 1.27 on). Sizes are said once, by `mem_limit` and its kin: `deploy.resources` says the same, has
//! no word for the limit of swap, and both together may contradict each other.

mod entry;
mod exporter;
mod monitoring;
mod overlay;

use serde::Serialize;
use serde_yaml_ng::Mapping;

use crate::profile::Profile;
use crate::write::WrittenFile;
use crate::write::compose::entry::{Entry, VOLUMES};
use crate::write::yaml::{document, map, spaced};

pub(super) use exporter::{CADVISOR, REDIS_EXPORTER};

const PRODUCTION: &str = "\
Written by `plimsoll compose`: change the profile.
Start it in this directory: docker-compose up -d

memswap_limit is memory and swap together: as large as mem_limit, nothing is swapped, and what is over the limit is killed. No variable
sets a limit for the library: it reads that of its container, which `plimsoll scale` moves.
";

const DEVELOPMENT: &str = "\
Written by `plimsoll compose`: change the profile. What development has otherwise than production.
Start it in this directory: docker-compose -f docker-compose.yml -f docker-compose.dev.yml up -d
";

const MONITORING: &str = "\
Written by `plimsoll compose`: change the profile. Prometheus with the alerts, Grafana with the dashboard, and two exporters, which are
not in the profile's table.
Start it in this directory: docker-compose -f docker-compose.yml -f docker-compose.monitoring.yml up -d
";

#[derive(Serialize)]
struct Compose {
    services: Mapping,
    #[serde(skip_serializing_if = "Mapping::is_empty")]
    volumes: Mapping,
}

/// The three files below `compose/`.
pub fn files(production: &Profile, development: &Profile) -> Vec<WrittenFile> {
    let base = base(production);
    let overlay = overlay::overlay(&base, &self::base(development));
    let monitoring = monitoring::services(production);
    [
        ("docker-compose.yml", PRODUCTION, base),
        ("docker-compose.dev.yml", DEVELOPMENT, overlay),
        ("docker-compose.monitoring.yml", MONITORING, monitoring),
    ]
    .map(|(name, heading, services)| WrittenFile {
        path: format!("compose/{name}"),
        text: text(heading, services),
    })
    .into()
}

fn base(profile: &Profile) -> Mapping {
    let services = profile.services.iter();
    let services = services.filter(|service| !service.deploy.monitoring);
    map(services.map(|service| {
        (
            service.name.as_str(),
            Entry::of(service, profile).into_value(),
        )
    }))
}

fn text(heading: &str, services: Mapping) -> String {
    let mut volumes = Mapping::new();
    for name in VOLUMES {
        let mount = format!("{name}:");
        let mounted = services.values().any(|service| {
            let mounts = service.get("volumes").and_then(|it| it.as_sequence());
            let mut mounts = mounts.into_iter().flatten().filter_map(|it| it.as_str());
            mounts.any(|it| it.starts_with(&mount))
        });
        if mounted {
            volumes.insert(name.into(), Mapping::new().into());
        }
    }
    spaced(&document(heading, &Compose { services, volumes }))
}
