//! What the engine says of the containers that are waited for.

use std::collections::VecDeque;

use bollard::errors::Error;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, RestartPolicyNameEnum,
};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder};
use futures_util::StreamExt;

use crate::engine::{Docker, EngineError};
use crate::table::printable;
use crate::up::wait::{Health, Seen, Status};

/// Of each container that is not up.
const LOG_LINES: usize = 5;
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
        .tail(&LOG_LINES.to_string());
    let mut logs = Box::pin(engine.client().logs(name, Some(options.build())));
    let mut tail = Tail::default();
    while let Some(Ok(output)) = logs.next().await {
        tail.take(&output.into_bytes());
    }
    tail.lines()
}

/// The last lines of what comes in pieces, the beginning of each: no program makes us hold more.
#[derive(Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    /// The last line goes on with the next piece.
    is_open: bool,
}

impl Tail {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_open {
                self.lines.push_back(Vec::new());
            }
            if self.lines.len() > LOG_LINES {
                self.lines.pop_front();
            }
            if let Some(line) = self.lines.back_mut() {
                // No character has more than four bytes.
                let room = (4 * MAX_LOG_CHARS).saturating_sub(line.len());
                line.extend(part.iter().take(room));
            }
            self.is_open = !part.ends_with(b"\n");
        }
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.lines.iter();
        lines
            .map(|line| shown(&String::from_utf8_lossy(line)))
            .collect()
    }
}

/// What the last health check that failed said; `None`: none failed, or there is none.
pub async fn last_check(engine: &Docker, name: &str) -> Option<String> {
    let inspected = engine
        .client()
        .inspect_container(name, None::<InspectContainerOptions>);
    let log = inspected.await.ok()?.state?.health?.log?;
    let last = log.last().filter(|check| check.exit_code != Some(0))?;
    let output = last.output.as_deref().unwrap_or_default();
    let line = shown(output.lines().next().unwrap_or_default());
    Some(format!(
        "ended with {}: {line}",
        last.exit_code.unwrap_or(-1)
    ))
}

fn shown(line: &str) -> String {
    let shown: String = line.trim_end().chars().take(MAX_LOG_CHARS).collect();
    printable(&shown)
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
        assert_eq!(shown("a\x1b[2Jb\r"), "a?[2Jb");
        assert_eq!(shown(&"x".repeat(1000)).len(), MAX_LOG_CHARS);
    }

    #[test]
    fn of_a_log_the_last_lines_are_held_and_no_more() {
        let mut tail = Tail::default();
        assert_eq!(tail.lines(), [""; 0]);
        for piece in ["1\n2\n3", "3\n", "", "\n5\r\n6\n7", "7"] {
            tail.take(piece.as_bytes());
        }
        assert_eq!(tail.lines(), ["33", "", "5", "6", "77"]);
        // A line without an end, of characters as wide as there are.
        let mut tail = Tail::default();
        for _ in 0..100 {
            tail.take("\u{1f4a5}".repeat(1000).as_bytes());
        }
        let held_bytes: usize = tail.lines.iter().map(Vec::len).sum();
        assert_eq!(held_bytes, 4 * MAX_LOG_CHARS);
        assert_eq!(tail.lines(), ["\u{1f4a5}".repeat(MAX_LOG_CHARS)]);
    }
}
