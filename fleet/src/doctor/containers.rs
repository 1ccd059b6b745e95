//! What the engine says of its containers.

use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::{StreamExt, stream};

use crate::engine::{Actuator, Docker, EngineError, positive};

/// So many requests are under way at a time.
const AT_ONCE: usize = 8;

/// The limit on memory and swap together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapLimit {
    Bytes(u64),
    /// It may swap as much as the host has.
    Unlimited,
    /// The engine has none for it: the kernel does not count swap.
    Unset,
}

/// One container, running or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub id: String,
    pub name: String,
    pub image_id: String,
    pub is_running: bool,
    pub is_restarting: bool,
    /// `None`: it may use all of the host's memory.
    pub limit_bytes: Option<u64>,
    pub swap_limit: SwapLimit,
    /// Usage less inactive file cache, as `docker stats` shows it; `None`: it does not run, or went while we asked.
    pub used_bytes: Option<u64>,
    /// In its present or last run.
    pub was_oom_killed: bool,
    /// Since when it does not run; `None`: it runs, or the engine does not say.
    pub ended_ago_s: Option<u64>,
    pub exit_code: i64,
    /// By its restart policy, since it was made.
    pub restarts_total: u64,
}

/// All containers, in the order of their names. One that vanishes meanwhile is left out.
///
/// # Errors
///
/// The engine does not list them.
pub async fn read(engine: &Docker) -> Result<Vec<Facts>, EngineError> {
    let client = engine.client();
    let options = ListContainersOptionsBuilder::default().all(true).build();
    let listed = client.list_containers(Some(options)).await;
    let listed = listed.map_err(|error| engine.failed(error))?;
    let ids = listed.into_iter().filter_map(|summary| summary.id);
    let facts = ids.map(|id| async move {
        let inspected = client.inspect_container(&id, None::<InspectContainerOptions>);
        let mut facts = facts(inspected.await.ok()?)?;
        if facts.is_running {
            let usage = engine.usage(&id).await.ok();
            facts.used_bytes = usage.map(|usage| usage.used_bytes);
        }
        Some(facts)
    });
    let facts = stream::iter(facts).buffer_unordered(AT_ONCE);
    let mut all: Vec<Facts> = facts.filter_map(|facts| async { facts }).collect().await;
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn facts(inspected: ContainerInspectResponse) -> Option<Facts> {
    let id = inspected.id?;
    let name = inspected.name.unwrap_or_default();
    let state = inspected.state.unwrap_or_default();
    let host = inspected.host_config.unwrap_or_default();
    let is_running = state.running.unwrap_or(false);
    let is_restarting = matches!(state.status, Some(ContainerStateStatusEnum::RESTARTING));
    Some(Facts {
        name: match name.trim_start_matches('/') {
            "" => id.chars().take(12).collect(),
            name => name.to_owned(),
        },
        image_id: inspected.image.unwrap_or_default(),
        is_running: is_running && !is_restarting,
        is_restarting,
        limit_bytes: positive(host.memory),
        swap_limit: match host.memory_swap {
            Some(-1) => SwapLimit::Unlimited,
            other => positive(other).map_or(SwapLimit::Unset, SwapLimit::Bytes),
        },
        used_bytes: None,
        was_oom_killed: state.oom_killed.unwrap_or(false),
        ended_ago_s: match is_running {
            true => None,
            false => state.finished_at.as_deref().and_then(ago_s),
        },
        exit_code: state.exit_code.unwrap_or(0),
        restarts_total: positive(inspected.restart_count).unwrap_or(0),
        id,
    })
}

/// How long ago it was by the clock; `None` for what is no time, and for the year 1, which means never.
fn ago_s(time: &str) -> Option<u64> {
    let at_s = time.parse::<jiff::Timestamp>().ok()?.as_second();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let at_s = positive(Some(at_s))?;
    Some(now_s.saturating_sub(at_s))
}

#[cfg(test)]
pub(crate) fn example(name: &str) -> Facts {
    Facts {
        id: format!(
            "{:064x}",
            name.bytes()
                .fold(7_u64, |sum, byte| (sum << 8) ^ u64::from(byte))
        ),
        name: name.to_owned(),
        image_id: "sha256:1".to_owned(),
        is_running: true,
        is_restarting: false,
        limit_bytes: Some(100 << 20),
        swap_limit: SwapLimit::Bytes(100 << 20),
        used_bytes: Some(50 << 20),
        was_oom_killed: false,
        ended_ago_s: None,
        exit_code: 0,
        restarts_total: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(host: &str, state: &str) -> Option<Facts> {
        let text = format!(
            r#"{{"Id":"abc","Name":"/crypto-news","Image":"sha256:9","RestartCount":2,"HostConfig":{host},"State":{state}}}"#
        );
        facts(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn what_the_engine_says_is_told_apart() {
        let running = r#"{"Status":"running","Running":true}"#;
        let table = [
            ("{}", None, SwapLimit::Unset),
            (r#"{"Memory":0,"MemorySwap":0}"#, None, SwapLimit::Unset),
            (
                r#"{"Memory":64,"MemorySwap":-1}"#,
                Some(64),
                SwapLimit::Unlimited,
            ),
            (
                r#"{"Memory":64,"MemorySwap":128}"#,
                Some(64),
                SwapLimit::Bytes(128),
            ),
        ];
        for (host, limit_bytes, swap_limit) in table {
            let facts = inspected(host, running).unwrap();
            assert_eq!(
                (facts.limit_bytes, facts.swap_limit),
                (limit_bytes, swap_limit)
            );
            assert_eq!(
                (facts.name.as_str(), facts.restarts_total),
                ("crypto-news", 2)
            );
            assert!(facts.is_running && facts.ended_ago_s.is_none());
        }
        let ended = r#"{"Status":"exited","Running":false,"OOMKilled":true,"ExitCode":137,"FinishedAt":"2020-01-01T00:00:00.5Z"}"#;
        let facts = inspected("{}", ended).unwrap();
        assert!(facts.was_oom_killed && !facts.is_running);
        assert!(facts.ended_ago_s.unwrap() > 86_400);
        let restarting = r#"{"Status":"restarting","Running":true}"#;
        let facts = inspected("{}", restarting).unwrap();
        assert!(facts.is_restarting && !facts.is_running);
    }

    #[test]
    fn a_time_that_is_none_is_unknown() {
        for text in ["", "0001-01-01T00:00:00Z", "yesterday"] {
            assert_eq!(ago_s(text), None, "{text}");
        }
        assert_eq!(ago_s("2999-01-01T00:00:00Z"), Some(0));
    }
}
