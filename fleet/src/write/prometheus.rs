//! What Prometheus scrapes of a fleet, and its alerts.

use serde::Serialize;

use crate::profile::Profile;
use crate::write::WrittenFile;
use crate::write::compose::{CADVISOR, REDIS_EXPORTER};
use crate::write::yaml::document;

/// The alerts as they are in the repository.
pub(super) const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");

const HEADING: &str = "\
Written by `plimsoll compose`: change the profile. Each service is a job of its own, so that alerts name it; the targets are the names
of services on the network of the compose files.
";

#[derive(Serialize)]
struct Config {
    global: Global,
    rule_files: [&'static str; 1],
    scrape_configs: Vec<Job>,
}

#[derive(Serialize)]
struct Global {
    scrape_interval: &'static str,
    evaluation_interval: &'static str,
}

#[derive(Serialize)]
struct Job {
    job_name: String,
    static_configs: [Targets; 1],
}

#[derive(Serialize)]
struct Targets {
    targets: [String; 1],
}

/// The configuration for a fleet, and the alerts.
pub fn files(profile: &Profile) -> Vec<WrittenFile> {
    let job = |name: &str, target: String| Job {
        job_name: name.to_owned(),
        static_configs: [Targets { targets: [target] }],
    };
    let mut jobs = Vec::new();
    for service in &profile.services {
        if let Some(port) = service.metrics_port {
            jobs.push(job(&service.name, format!("{}:{port}", service.name)));
        }
        if service.redis.is_some() {
            let target = format!("{}:{}", REDIS_EXPORTER.name, REDIS_EXPORTER.port);
            jobs.push(job(&service.name, target));
        }
    }
    let target = format!("{}:{}", CADVISOR.name, CADVISOR.port);
    jobs.push(job(CADVISOR.name, target));
    let config = Config {
        global: Global {
            scrape_interval: "15s",
            evaluation_interval: "15s",
        },
        rule_files: ["alerts.yml"],
        scrape_configs: jobs,
    };
    vec![
        WrittenFile {
            path: "prometheus/prometheus.fleet.yml".to_owned(),
            text: document(HEADING, &config),
        },
        WrittenFile {
            path: "prometheus/alerts.yml".to_owned(),
            text: ALERTS.to_owned(),
        },
    ]
}
