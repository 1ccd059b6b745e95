//! [`RedisSettings`]: what a `redis.conf` of ours sets.

use crate::profile::fields::{At, Fields};
use crate::profile::problem::Problems;

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

const EVICTIONS: [&str; 8] = [
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

/// The settings, and `maxmemory` with its place.
pub(super) fn read_redis(
    fields: &Fields<'_>,
    problems: &mut Problems<'_>,
) -> (RedisSettings, Option<At<u64>>) {
    fields.only(&["maxmemory", "policy", "save", "appendonly"], problems);
    fields.need("maxmemory", "\"2GB\"", problems);
    let maxmemory = fields.size("maxmemory", problems);
    let said = maxmemory.as_ref().and(fields.text("maxmemory", problems));
    if let Some(said) = said {
        let last_two: Vec<char> = said
            .value
            .to_ascii_lowercase()
            .chars()
            .rev()
            .take(2)
            .collect();
        if let [unit @ ('k' | 'm' | 'g'), before] = last_two[..]
            && (before.is_ascii_digit() || before == ' ')
        {
            let number = said.value[..said.value.len() - 1].trim_end();
            let unit = unit.to_ascii_uppercase();
            problems.error(
                said.at,
                format!(
                    "{}.maxmemory: to Redis {:?} is a number of thousands, to docker one of 1024s: write \"{number}{unit}B\"",
                    fields.path(),
                    said.value
                ),
            );
        }
    }
    let policy = fields.text("policy", problems);
    if let Some(policy) = &policy
        && !EVICTIONS.contains(&policy.value)
    {
        problems.error(
            policy.at,
            format!(
                "{}.policy: Redis has no policy {:?}; it has {}",
                fields.path(),
                policy.value,
                EVICTIONS.join(", ")
            ),
        );
    }
    let settings = RedisSettings {
        maxmemory_bytes: maxmemory.as_ref().map_or(0, |size| size.value),
        maxmemory_policy: policy
            .map_or("allkeys-lru", |policy| policy.value)
            .to_owned(),
        save: fields.pairs("save", problems),
        appendonly: fields.flag("appendonly", problems).unwrap_or(false),
    };
    (settings, maxmemory)
}
