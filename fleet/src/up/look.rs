//! What the engine says of the containers that are waited for.

use bollard::errors::Error;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, RestartPolicyNameEnum,
};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;

use crate::engine::{Docker, EngineError};
use crate::up::wait::{Health, Seen, Status};

/// Of each container that is not up.
const LOG_LINES: &str = "5";
/// A line may be as long as a program likes.
const MAX_LOG_CHARS: usize = 400;

/// Those of `ids` that the engine knows.
///
/// # Errors
///
/// The engine does not answer.
pub async fn look(engine: &Docker, ids: &[String]) -> Result<Vec<Seen>, EngineError> {
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let inspected = engine
            .client()
            .inspect_container(id, None::<InspectContainerOptions>);
        match inspected.await {
            Ok(inspected) => all.extend(seen(inspected)),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(error) => return Err(engine.failed(error)),
        }
    }
    Ok(all)
}

fn seen(inspected: ContainerInspectResponse) -> Option<Seen> {
    let state = inspected.state?;
    let policy = inspected.host_config.and_then(|host| host.restart_policy);
    let policy = policy.and_then(|policy| policy.name);
    let code = state.exit_code.unwrap_or(0);
    let status = match state.status? {
        ContainerStateStatusEnum::RUNNING => Status::Running,
        ContainerStateStatusEnum::RESTARTING => Status::Restarting,
        ContainerStateStatusEnum::PAUSED => Status::Paused,
        ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD => Status::Exited {
            code,
            is_final: match policy {
                None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO) => true,
                // After a success it is not started again.
                Some(RestartPolicyNameEnum::ON_FAILURE) => code == 0,
                Some(_) => false,
            },
        },
        _ => Status::Created,
    };
    let health = match state.health.and_then(|health| health.status) {
        None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) => None,
        Some(HealthStatusEnum::STARTING) => Some(Health::Starting),
        Some(HealthStatusEnum::HEALTHY) => Some(Health::Healthy),
        Some(HealthStatusEnum::UNHEALTHY) => Some(Health::Unhealthy),
    };
    Some(Seen {
        name: inspected.name?.trim_start_matches('/').to_owned(),
        status,
        health,
        restarts_total: inspected
            .restart_count
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0),
    })
}

/// The last lines that a container wrote; none where the engine does not say.
pub async fn last_lines(engine: &Docker, name: &str) -> Vec<String> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .tail(LOG_LINES);
    let mut logs = Box::pin(engine.client().logs(name, Some(options.build())));
    let mut text = String::new();
    while let Some(Ok(output)) = logs.next().await {
        text += &String::from_utf8_lossy(&output.into_bytes());
    }
    text.lines().map(printable).collect()
}

/// What the last health check that failed said; `None`: none failed, or there is none.
pub async fn last_check(engine: &Docker, name: &str) -> Option<String> {
    let inspected = engine
        .client()
        .inspect_container(name, None::<InspectContainerOptions>);
    let log = inspected.await.ok()?.state?.health?.log?;
    let last = log.last().filter(|check| check.exit_code != Some(0))?;
    let output = last.output.as_deref().unwrap_or_default();
    let line = printable(output.lines().next().unwrap_or_default());
    Some(format!(
        "ended with {}: {line}",
        last.exit_code.unwrap_or(-1)
    ))
}

/// What would move the cursor is shown as a question mark.
fn printable(line: &str) -> String {
    let shown = line.trim_end().chars().take(MAX_LOG_CHARS);
    shown
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> (Status, Option<Health>) {
        let seen = seen(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(
            (seen.name.as_str(), seen.restarts_total),
            ("crypto-news", 0)
        );
        (seen.status, seen.health)
    }

    #[test]
    fn states_are_told_apart() {
        let exited = |code, is_final| Status::Exited { code, is_final };
        let table = [
            (r#""Status":"running""#, "no", Status::Running, None),
            (
                r#""Status":"running","Health":{"Status":"none"}"#,
                "no",
                Status::Running,
                None,
            ),
            (
                r#""Status":"running","Health":{"Status":"starting"}"#,
                "no",
                Status::Running,
                Some(Health::Starting),
            ),
            (
                r#""Status":"running","Health":{"Status":"healthy"}"#,
                "no",
                Status::Running,
                Some(Health::Healthy),
            ),
            (
                r#""Status":"running","Health":{"Status":"unhealthy"}"#,
                "no",
                Status::Running,
                Some(Health::Unhealthy),
            ),
            (r#""Status":"created""#, "no", Status::Created, None),
            (r#""Status":"paused""#, "no", Status::Paused, None),
            (
                r#""Status":"restarting","ExitCode":1"#,
                "always",
                Status::Restarting,
                None,
            ),
            (
                r#""Status":"exited","ExitCode":1"#,
                "no",
                exited(1, true),
                None,
            ),
            (
                r#""Status":"exited","ExitCode":1"#,
                "",
                exited(1, true),
                None,
            ),
            (
                r#""Status":"exited","ExitCode":1"#,
                "on-failure",
                exited(1, false),
                None,
            ),
            (
                r#""Status":"exited","ExitCode":0"#,
                "on-failure",
                exited(0, true),
                None,
            ),
            (
                r#""Status":"exited","ExitCode":0"#,
                "unless-stopped",
                exited(0, false),
                None,
            ),
            (
                r#""Status":"dead","ExitCode":9"#,
                "always",
                exited(9, false),
                None,
            ),
        ];
        for (state, policy, expected, health) in table {
            let text = format!(
                r#"{{"Name":"/crypto-news","State":{{{state}}},"HostConfig":{{"RestartPolicy":{{"Name":"{policy}"}}}}}}"#
            );
            assert_eq!(status(&text), (expected, health), "{text}");
        }
    }

    #[test]
    fn a_log_line_moves_no_cursor_and_ends() {
        assert_eq!(printable("a\x1b[2Jb\r"), "a?[2Jb");
        assert_eq!(printable(&"x".repeat(1000)).len(), MAX_LOG_CHARS);
    }
}
