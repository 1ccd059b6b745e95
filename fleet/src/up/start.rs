//! `plimsoll up`: check, write, start, wait.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bollard::Docker;

use crate::failure::Failure;
use crate::up::compose::Compose;
use crate::up::engine;
use crate::up::wait::{End, Wait};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is started, and how.
#[derive(Clone, Debug)]
pub struct Start {
    /// Where the compose files are.
    pub dir: PathBuf,
    /// In this order: the later ones change what the earlier ones say.
    pub files: Vec<PathBuf>,
    /// The engine's address.
    pub host: String,
    /// How long to wait for health.
    pub bound: Duration,
}

/// Starts the files' services and waits until they are up. `say` gets a line for each change.
///
/// # Errors
///
/// There is no compose, it fails, or not all are up in time: then the last lines of those that are not have been said.
pub async fn start(
    start: &Start,
    docker: &Docker,
    say: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let compose = Compose::find(&start.dir, &start.files, &start.host).await?;
    say(&format!("starting: {}", compose.shown(&["up", "-d"])));
    compose.up().await?;
    let ids = compose.containers().await?;
    if ids.is_empty() {
        let message = format!("{} started no container", compose.shown(&["up", "-d"]));
        return Err(Failure::new(Failure::REFUSED, message));
    }
    let begun = Instant::now();
    let end = wait(start, docker, &ids, begun, say).await?;
    for (name, state) in &end.down {
        say(&format!(
            "not up: {name}, {state}; its last lines (docker logs {name}):"
        ));
        for line in engine::last_lines(docker, name).await {
            say(&format!("    {line}"));
        }
    }
    let all = end.up.len() + end.down.len();
    let seconds = begun.elapsed().as_secs();
    if end.down.is_empty() {
        say(&format!(
            "up: all {all}, in {seconds} s: {}",
            end.up.join(", ")
        ));
        return Ok(());
    }
    let down: Vec<String> = end
        .down
        .iter()
        .map(|(name, state)| format!("{name} ({state})"))
        .collect();
    let message = format!(
        "{} of {all} are not up after {seconds} s: {}",
        down.len(),
        down.join(", ")
    );
    Err(Failure::new(Failure::FOUND, message))
}

async fn wait(
    start: &Start,
    docker: &Docker,
    ids: &[String],
    begun: Instant,
    say: &mut dyn FnMut(&str),
) -> Result<End, Failure> {
    let mut wait = Wait::new(start.bound);
    loop {
        let seen = engine::look(docker, ids).await.map_err(|error| {
            let message = format!("{}: {error}", start.host);
            Failure::new(Failure::UNAVAILABLE, message)
        })?;
        let at = begun.elapsed();
        for change in wait.observe(at, &seen) {
            say(&format!("{:>4} s  {change}", at.as_secs()));
        }
        if let Some(end) = wait.end(at) {
            return Ok(end);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
