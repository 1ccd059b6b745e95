//! [`read`]: a profile from its text, with everything that is wrong in it.

use toml::de::DeTable;

use crate::failure::Failure;
use crate::profile::check;
use crate::profile::fields::{At, Fields};
use crate::profile::policy::read_policy;
use crate::profile::problem::Problems;
use crate::profile::service::read_service;
use crate::profile::{Policy, Problem, Profile, Service, Severity, Source};

const KNOWN: &[&str] = &[
    "host",
    "keep",
    "guide_total",
    "environment",
    "services",
    "policies",
];

/// What came of reading a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The file, as problems name it.
    pub origin: String,
    /// `None`: there is an error among the problems.
    pub profile: Option<Profile>,
    /// What somebody once added up, to be shown beside our own sum.
    pub guide_total: Option<String>,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// How many problems are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        let of_it = |problem: &&Problem| problem.severity == severity;
        self.problems.iter().filter(of_it).count()
    }
}

/// A profile that is as yet but read: each part with its place, for the checks between them.
pub(super) struct Draft {
    /// Where a problem of the whole is shown.
    pub(super) host: Option<At<u64>>,
    pub(super) keep: Option<At<u64>>,
    pub(super) services: Vec<ServiceDraft>,
    /// Each with the service that it names.
    pub(super) policies: Vec<(At<String>, PolicyDraft)>,
}

pub(super) struct ServiceDraft {
    pub(super) name: At<String>,
    pub(super) limit: Option<At<u64>>,
    pub(super) reservation: Option<At<u64>>,
    pub(super) metrics: Option<At<u16>>,
    /// Where `redis` and its `maxmemory` stand.
    pub(super) redis: Option<(usize, Option<At<u64>>)>,
    /// Where each variable stands.
    pub(super) environment: Vec<(At<String>, String)>,
    /// Complete if nothing was wrong.
    pub(super) service: Service,
}

pub(super) struct PolicyDraft {
    pub(super) min: Option<At<u64>>,
    pub(super) max: Option<At<u64>>,
    pub(super) up: Option<At<f64>>,
    pub(super) down: Option<At<f64>>,
    /// Where the policy itself stands.
    pub(super) at: usize,
    /// Complete if nothing was wrong.
    pub(super) policy: Policy,
}

/// Reads a profile to its end, whatever is wrong on the way.
pub fn read(source: &Source) -> Reading {
    let mut problems = Problems::new(&source.text);
    let (root, syntax) = DeTable::parse_recoverable(&source.text);
    let mut readable = true;
    for error in syntax {
        let span = error.span().unwrap_or(source.text.len()..source.text.len());
        // The rest of a file with a key that is there twice means what it says; what comes of a missing quote may not.
        let duplicate = error.message() == "duplicate key";
        readable &= duplicate;
        let message = if duplicate {
            let key = source.text.get(span.clone()).unwrap_or_default();
            format!("{key} is there twice: say each once")
        } else {
            one_line(error.message())
        };
        problems.error(span.start, message);
    }
    let mut reading = Reading {
        origin: source.origin.clone(),
        profile: None,
        guide_total: None,
        problems: Vec::new(),
    };
    if readable {
        let root = Fields::new(root.get_ref(), "", 0);
        let guide_total = root.text("guide_total", &mut problems);
        reading.guide_total = guide_total.map(|text| text.value.to_owned());
        let draft = read_draft(&root, &mut problems);
        check::draft(&draft, &mut problems);
        if !problems.any_error() {
            reading.profile = Some(finish(&source.name, draft));
        }
    }
    reading.problems = problems.into_sorted();
    reading
}

/// A shipped profile by its name, or the file of that path, if it has no error.
///
/// # Errors
///
/// It can't be read ([`Failure::NO_INPUT`] and others), or makes no sense ([`Failure::DATA`], with every error).
pub fn load(name_or_path: &str) -> Result<Profile, Failure> {
    let reading = read(&Source::open(name_or_path)?);
    let error = |problem: &&Problem| problem.severity == Severity::Error;
    let errors = reading.problems.iter().filter(error);
    let errors: Vec<_> = errors
        .map(|problem| format!("{}:{problem}", reading.origin))
        .collect();
    reading
        .profile
        .ok_or_else(|| Failure::new(Failure::DATA, errors.join("\n")))
}

fn read_draft(root: &Fields<'_>, problems: &mut Problems<'_>) -> Draft {
    root.only(KNOWN, problems);
    root.need("host", "\"16GB\"", problems);
    let host = root.size("host", problems);
    let keep = root.size("keep", problems);
    let common = environment(root, problems);
    let mut services = Vec::new();
    match root.table("services", problems) {
        None => root.need("services", "a table for each service", problems),
        Some(tables) => {
            for (name, fields) in tables.tables(problems) {
                let mut draft = read_service(name, &fields, problems);
                draft.environment = environment(&fields, problems);
                draft.service.deploy.environment = merged(&common, &draft);
                services.push(draft);
            }
            if services.is_empty() {
                problems.error(tables.at(), "there is no service in services");
            }
        }
    }
    for (name, _) in &common {
        check::variable(name, problems);
    }
    let mut policies = Vec::new();
    if let Some(tables) = root.table("policies", problems) {
        for (name, fields) in tables.tables(problems) {
            let name = At {
                value: name.to_owned(),
                at: fields.at(),
            };
            policies.push((name, read_policy(&fields, problems)));
        }
    }
    Draft {
        host,
        keep,
        services,
        policies,
    }
}

fn environment(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Vec<(At<String>, String)> {
    let table = fields.table("environment", problems);
    table.map_or_else(Vec::new, |table| table.texts(problems))
}

/// What is said for all is for services that have the library, and those have metrics.
fn merged(common: &[(At<String>, String)], draft: &ServiceDraft) -> Vec<(String, String)> {
    let common = common
        .iter()
        .filter(|_| draft.service.metrics_port.is_some());
    let all = common.chain(&draft.environment);
    let all = all.map(|(name, value)| (name.value.clone(), value.clone()));
    // The later one wins.
    let merged: std::collections::BTreeMap<_, _> = all.collect();
    merged.into_iter().collect()
}

fn finish(name: &str, draft: Draft) -> Profile {
    let mut services: Vec<Service> = draft
        .services
        .into_iter()
        .map(|draft| draft.service)
        .collect();
    for (of, draft) in draft.policies {
        let named = |service: &&mut Service| service.name == of.value;
        if let Some(service) = services.iter_mut().find(named) {
            service.policy = Some(draft.policy);
        }
    }
    let host_bytes = draft.host.map_or(0, |host| host.value);
    let keep_bytes = draft.keep.map_or(0, |keep| keep.value);
    Profile {
        name: name.to_owned(),
        host_bytes,
        budget_bytes: host_bytes.saturating_sub(keep_bytes),
        services,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
