//! [`Figures`]: the scaler's own metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::decide::Alert;

/// The scaler's own metrics, shared with who serves them.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(Arc<Mutex<All>>);

#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) rounds_total: u64,
    pub(super) rounds_failed_total: u64,
    pub(super) engine_is_up: bool,
    pub(super) budget_bytes: u64,
    pub(super) held_bytes: u64,
    pub(super) services: BTreeMap<String, Of>,
}

/// Of one service.
#[derive(Debug, Default)]
pub(super) struct Of {
    /// The next four: `None` as long as it does not run, or does not say.
    pub(super) limit_bytes: Option<u64>,
    pub(super) used_bytes: Option<u64>,
    /// Used less what its hooks say they could free.
    pub(super) floor_bytes: Option<u64>,
    pub(super) pressure_level: Option<u8>,
    pub(super) grown_total: u64,
    pub(super) shrunk_total: u64,
    pub(super) refused_total: u64,
    pub(super) scrape_failures_total: u64,
    pub(super) oom_kills_total: u64,
    pub(super) alert: Option<Alert>,
}

impl Figures {
    pub(super) fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, service: &str, change: impl FnOnce(&mut Of)) {
        let mut all = self.all();
        if !all.services.contains_key(service) {
            all.services.insert(service.to_owned(), Of::default());
        }
        if let Some(of) = all.services.get_mut(service) {
            change(of);
        }
    }

    /// Prometheus' text format.
    pub(super) fn text(&self) -> String {
        let all = self.all();
        let mut text = String::new();
        for (name, help, read) in OF_ALL {
            head(&mut text, name, help);
            let _ = writeln!(text, "plimsoll_scaler_{name} {}", read(&all));
        }
        for (name, labels, help, read) in OF_EACH {
            let samples: Vec<_> = all
                .services
                .iter()
                .filter_map(|(service, of)| Some((service, read(of)?)))
                .collect();
            if samples.is_empty() {
                continue;
            }
            // Series that differ in one label only share their head.
            if !text.contains(&format!("# HELP plimsoll_scaler_{name} ")) {
                head(&mut text, name, help);
            }
            for (service, value) in samples {
                let service = escaped(service);
                let _ = writeln!(
                    text,
                    "plimsoll_scaler_{name}{{service=\"{service}\"{labels}}} {value}"
                );
            }
        }
        text
    }
}

type OfAll = (&'static str, &'static str, fn(&All) -> u64);
type OfEach = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Of) -> Option<u64>,
);

const OF_ALL: &[OfAll] = &[
    ("rounds_total", "Rounds that were made.", |all| {
        all.rounds_total
    }),
    (
        "rounds_failed_total",
        "Rounds that could not be made because the engine did not answer.",
        |all| all.rounds_failed_total,
    ),
    ("engine_up", "1 while the engine answers, else 0.", |all| {
        all.engine_is_up.into()
    }),
    (
        "budget_bytes",
        "What all limits together may come to.",
        |all| all.budget_bytes,
    ),
    (
        "held_bytes",
        "What all limits together come to; of what has no limit what it uses.",
        |all| all.held_bytes,
    ),
];

const RESIZES: &str = "Limits that were changed.";
const ALERT: &str =
    "1 while it needs more than it can have: its maximum, or what the host has; else 0.";

const OF_EACH: &[OfEach] = &[
    ("limit_bytes", "", "The limit that is in force.", |of| {
        of.limit_bytes
    }),
    (
        "used_bytes",
        "",
        "What counts: charge less inactive file cache.",
        |of| of.used_bytes,
    ),
    (
        "floor_bytes",
        "",
        "Used less what the service says that it could free. Absent where it does not say.",
        |of| of.floor_bytes,
    ),
    (
        "pressure_level",
        "",
        "As the service says: 0 Normal, 1 Elevated, 2 High, 3 Critical.",
        |of| of.pressure_level.map(u64::from),
    ),
    ("resizes_total", ",direction=\"up\"", RESIZES, |of| {
        Some(of.grown_total)
    }),
    ("resizes_total", ",direction=\"down\"", RESIZES, |of| {
        Some(of.shrunk_total)
    }),
    (
        "refused_total",
        "",
        "Changes that the engine refused, and those that were taken back.",
        |of| Some(of.refused_total),
    ),
    (
        "scrape_failures_total",
        "",
        "Times that its metrics did not come or made no sense.",
        |of| Some(of.scrape_failures_total),
    ),
    (
        "oom_kills_total",
        "",
        "Kills for memory that the engine told of.",
        |of| Some(of.oom_kills_total),
    ),
    ("alert", ",alert=\"at_maximum\"", ALERT, |of| {
        Some((of.alert == Some(Alert::AtMaximum)).into())
    }),
    ("alert", ",alert=\"host_full\"", ALERT, |of| {
        Some((of.alert == Some(Alert::HostFull)).into())
    }),
];

fn head(text: &mut String, name: &str, help: &str) {
    let kind = if name.ends_with("_total") {
        "counter"
    } else {
        "gauge"
    };
    let _ = write!(
        text,
        "# HELP plimsoll_scaler_{name} {help}\n# TYPE plimsoll_scaler_{name} {kind}\n"
    );
}

fn escaped(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_one_head_and_its_samples_below() {
        let figures = Figures::default();
        figures.all().engine_is_up = true;
        figures.of("fusion", |of| {
            of.limit_bytes = Some(1 << 29);
            of.grown_total = 3;
            of.alert = Some(Alert::HostFull);
        });
        figures.of("a\"b\\", |of| of.shrunk_total = 1);
        let text = figures.text();
        let mut heads = Vec::new();
        let mut samples = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("# TYPE ") {
                heads.push(name.split(' ').next().unwrap());
            } else if !line.starts_with('#') {
                let end = line.find(['{', ' ']).unwrap();
                assert_eq!(Some(&&line[..end]), heads.last(), "{text}");
                samples.push(line);
            }
        }
        let mut unique = heads.clone();
        unique.dedup();
        assert_eq!(unique, heads);
        for sample in [
            "plimsoll_scaler_engine_up 1",
            "plimsoll_scaler_limit_bytes{service=\"fusion\"} 536870912",
            "plimsoll_scaler_resizes_total{service=\"fusion\",direction=\"up\"} 3",
            "plimsoll_scaler_resizes_total{service=\"a\\\"b\\\\\",direction=\"down\"} 1",
            "plimsoll_scaler_alert{service=\"fusion\",alert=\"at_maximum\"} 0",
            "plimsoll_scaler_alert{service=\"fusion\",alert=\"host_full\"} 1",
        ] {
            assert!(samples.contains(&sample), "{sample}\n{text}");
        }
        // Unknown is absent.
        assert!(!text.contains("floor_bytes"), "{text}");
    }
}
