//! What must hold between the parts of a profile.

use std::collections::HashMap;

use crate::profile::fields::At;
use crate::profile::problem::Problems;
use crate::profile::read::{Draft, PolicyDraft, ServiceDraft};
use crate::size;

/// Above so many percent of its container a Redis is short of room when it forks.
const REDIS_WARN_PERCENT: u64 = 75;
/// Docker refuses less, and takes 0 for no limit at all.
const LEAST_BYTES: u64 = 6 << 20;
/// `crypto-` and this are a host name.
const NAME_CHARS: usize = 56;

pub(super) fn draft(draft: &Draft, problems: &mut Problems<'_>) {
    for service in &draft.services {
        name(&service.name, problems);
        reservation(service, problems);
        redis(service, problems);
        for (variable_name, _) in &service.environment {
            variable(variable_name, problems);
        }
    }
    ports(&draft.services, problems);
    one_redis(&draft.services, problems);
    let room = room(draft, problems);
    for (name, policy) in &draft.policies {
        let named = |service: &&ServiceDraft| service.name.value == name.value;
        match draft.services.iter().find(named) {
            Some(service) => bounds(name, policy, service, problems),
            None => {
                let known = draft.services.iter().map(|service| &*service.name.value);
                let known = known.collect::<Vec<_>>().join(", ");
                problems.error(
                    name.at,
                    format!(
                        "a policy for {:?}, and there is no such service: there are {known}",
                        name.value
                    ),
                );
            }
        }
        thresholds(name, policy, problems);
        if let (Some(max), Some(room)) = (&policy.max, room)
            && max.value > room
        {
            problems.error(
                max.at,
                format!(
                    "policies.{}: max {} is more than the host has to give, {}",
                    name.value,
                    human(max.value),
                    human(room)
                ),
            );
        }
    }
}

/// Variables of the library are spelled right, and none sets what the scaler changes.
pub(super) fn variable(name: &At<String>, problems: &mut Problems<'_>) {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.value.is_empty() || !name.value.chars().all(valid) {
        let message = format!(
            "{:?} is no name for a variable: letters, digits and _ make one",
            name.value
        );
        problems.error(name.at, message);
    } else if name.value == "PLIMSOLL_MEMORY_LIMIT" {
        problems.warning(
            name.at,
            "PLIMSOLL_MEMORY_LIMIT holds a service to this size whatever its container is given: leave it out, and the container's limit counts",
        );
    } else if name.value.starts_with("PLIMSOLL_") {
        let known: Vec<_> = plimsoll::ENVIRONMENT
            .iter()
            .map(|known| known.name)
            .collect();
        if !known.contains(&&*name.value) {
            problems.error(
                name.at,
                format!(
                    "the library reads no variable {}: it reads {}",
                    name.value,
                    known.join(", ")
                ),
            );
        }
    }
}

fn name(name: &At<String>, problems: &mut Problems<'_>) {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = &name.value;
    let is_name = !text.is_empty()
        && text.len() <= NAME_CHARS
        && text.chars().all(valid)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if !is_name {
        problems.error(
            name.at,
            format!(
                "{text:?} is no name for a service: a to z, 0 to 9 and - within make one, {NAME_CHARS} at most"
            ),
        );
    }
}

fn reservation(service: &ServiceDraft, problems: &mut Problems<'_>) {
    let Some(limit) = &service.limit else { return };
    least(&service.name.value, "limit", limit, problems);
    if let Some(reservation) = &service.reservation
        && reservation.value > limit.value
    {
        problems.error(
            reservation.at,
            format!(
                "{}: reservation {} is above the limit {}",
                service.name.value,
                human(reservation.value),
                human(limit.value)
            ),
        );
    }
}

fn least(of: &str, what: &str, size: &At<u64>, problems: &mut Problems<'_>) {
    if size.value < LEAST_BYTES {
        problems.error(
            size.at,
            format!(
                "{of}: {what} {} is less than docker takes, {}",
                human(size.value),
                human(LEAST_BYTES)
            ),
        );
    }
}

fn redis(service: &ServiceDraft, problems: &mut Problems<'_>) {
    let (Some((_, Some(maxmemory))), Some(limit)) = (&service.redis, &service.limit) else {
        return;
    };
    let name = &service.name.value;
    let [has, of] = [maxmemory.value, limit.value].map(human);
    let percent = u128::from(maxmemory.value) * 100 / u128::from(limit.value.max(1));
    if maxmemory.value == 0 {
        problems.error(
            maxmemory.at,
            format!("{name}: maxmemory 0 is none to Redis, so it grows until the kernel kills it"),
        );
    } else if maxmemory.value > limit.value {
        problems.error(
            maxmemory.at,
            format!("{name}: maxmemory {has} is more than its container has, {of}: the kernel kills it before it evicts"),
        );
    } else if u128::from(maxmemory.value) * 100
        > u128::from(limit.value) * u128::from(REDIS_WARN_PERCENT)
    {
        problems.warning(
            maxmemory.at,
            format!(
                "{name}: maxmemory {has} is {percent} % of its container's {of}, and above {REDIS_WARN_PERCENT} % there is little room: \
                 the fork for a snapshot or an AOF rewrite copies each page that is written meanwhile, and buffers of clients and \
                 fragmentation come on top"
            ),
        );
    }
}

fn ports(services: &[ServiceDraft], problems: &mut Problems<'_>) {
    let mut taken: HashMap<u16, &str> = HashMap::new();
    for service in services {
        let Some(port) = &service.metrics else {
            continue;
        };
        if let Some(other) = taken.insert(port.value, &service.name.value) {
            problems.error(
                port.at,
                format!(
                    "{}: {other} has port {} already, and on the host's network they would meet",
                    service.name.value, port.value
                ),
            );
        }
    }
}

fn one_redis(services: &[ServiceDraft], problems: &mut Problems<'_>) {
    let with_redis = services.iter().filter_map(|service| {
        let (at, _) = service.redis.as_ref()?;
        Some((*at, &service.name.value))
    });
    for (at, name) in with_redis.skip(1) {
        problems.error(
            at,
            format!("{name}: a second Redis, and one configuration is written for a profile"),
        );
    }
}

/// What the host can give, after the check that all limits together fit in.
fn room(draft: &Draft, problems: &mut Problems<'_>) -> Option<u64> {
    let host = draft.host.as_ref()?;
    let keep = draft.keep.as_ref();
    let kept = keep.map_or(0, |keep| keep.value);
    if kept >= host.value {
        let at = keep.map_or(host.at, |keep| keep.at);
        problems.error(
            at,
            format!(
                "keep {} leaves nothing of the host's {}",
                human(kept),
                human(host.value)
            ),
        );
        return None;
    }
    let room = host.value - kept;
    let sum = |of: fn(&ServiceDraft) -> &Option<At<u64>>| {
        let sizes = draft
            .services
            .iter()
            .filter_map(|service| of(service).as_ref());
        sizes.fold(0_u64, |sum, size| sum.saturating_add(size.value))
    };
    let limits = sum(|service| &service.limit);
    if limits > room {
        problems.error(
            host.at,
            format!(
                "limits sum up to {}, and the host has {} to give (host {}, keep {})",
                human(limits),
                human(room),
                human(host.value),
                human(kept)
            ),
        );
    }
    Some(room)
}

fn bounds(
    name: &At<String>,
    policy: &PolicyDraft,
    service: &ServiceDraft,
    problems: &mut Problems<'_>,
) {
    let (Some(min), Some(max)) = (&policy.min, &policy.max) else {
        return;
    };
    least(&format!("policies.{}", name.value), "min", min, problems);
    if min.value > max.value {
        let [min_text, max_text] = [min.value, max.value].map(human);
        let message = format!(
            "policies.{}: min {min_text} is above max {max_text}",
            name.value
        );
        problems.error(min.at, message);
        return;
    }
    if let Some((_, Some(maxmemory))) = &service.redis
        && min.value < maxmemory.value
    {
        problems.error(
            min.at,
            format!(
                "policies.{}: min {} is less than its maxmemory {}: shrunk to it, the kernel kills it before it evicts",
                name.value,
                human(min.value),
                human(maxmemory.value)
            ),
        );
    }
    let Some(limit) = &service.limit else { return };
    if !(min.value..=max.value).contains(&limit.value) {
        problems.error(
            limit.at,
            format!(
                "{}: limit {} is not within min {} and max {} of its policy",
                name.value,
                human(limit.value),
                human(min.value),
                human(max.value)
            ),
        );
    }
}

fn thresholds(name: &At<String>, draft: &PolicyDraft, problems: &mut Problems<'_>) {
    let policy = &draft.policy;
    let at = [&draft.down, &draft.up]
        .into_iter()
        .flatten()
        .map(|percent| percent.at)
        .next()
        .unwrap_or(draft.at);
    let (up, down) = (policy.up_percent, policy.down_percent);
    if down >= up {
        problems.error(
            at,
            format!(
                "policies.{}: down {down} is not below up {up}, so it would grow and shrink by turns",
                name.value
            ),
        );
    } else if up / policy.factor < down {
        problems.warning(
            at,
            format!(
                "policies.{}: after growth by {} from up {up} % it is at {:.0} %, below down {down}: it shrinks again at once",
                name.value,
                policy.factor,
                up / policy.factor
            ),
        );
    }
}

/// For people, unless that would round: who is told that 1 GiB is more than 1 GiB learns nothing.
fn human(bytes: u64) -> String {
    let rounded = size::human(bytes);
    if size::parse(&rounded) == Ok(bytes) {
        rounded
    } else {
        format!("{}B", size::kubernetes(bytes))
    }
}
