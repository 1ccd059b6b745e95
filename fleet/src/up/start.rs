//! `plimsoll up`: check, write, start, wait.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::engine::{Actuator, Docker, EngineError, host_warning, is_too_small};
use crate::failure::Failure;
use crate::profile::Profile;
use crate::up::compose::Compose;
use crate::up::look::{last_check, last_lines, look};
use crate::up::wait::{End, Wait};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is started, and how.
#[derive(Clone, Debug)]
pub struct Start {
    /// Where the compose files are.
    pub dir: PathBuf,
    /// In this order: the later ones change what the earlier ones say.
    pub files: Vec<PathBuf>,
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
    engine: &Docker,
    say: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let compose = Compose::find(&start.dir, &start.files, engine.host()).await?;
    let command = compose.shown(&["up", "-d"]);
    say(&format!("starting in {}: {command}", start.dir.display()));
    compose.up().await?;
    let ids = compose.containers().await?;
    if ids.is_empty() {
        let message = format!("{} started no container", compose.shown(&["up", "-d"]));
        return Err(Failure::new(Failure::REFUSED, message));
    }
    let begun = Instant::now();
    let end = wait(start, engine, &ids, begun, say).await?;
    for (name, state) in &end.down {
        say(&format!(
            "not up: {name}, {state}; its last lines (docker logs {name}):"
        ));
        if let Some(check) = last_check(engine, name).await {
            say(&format!("    its health check: {check}"));
        }
        for line in last_lines(engine, name).await {
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
        "{} of {all} not up after {seconds} s: {}",
        down.len(),
        down.join(", ")
    );
    Err(Failure::new(Failure::FOUND, message))
}

/// Says so when the host is smaller than the profile's.
///
/// # Errors
///
/// The engine does not answer.
pub async fn warn_of_host(
    engine: &Docker,
    profile: &Profile,
    say: &mut dyn FnMut(&str),
) -> Result<(), EngineError> {
    let host_bytes = engine.host_bytes().await?;
    if let Some(bytes) = host_bytes.filter(|bytes| is_too_small(*bytes, profile.host_bytes)) {
        let limits_bytes = profile.limits_bytes();
        say(&host_warning(
            bytes,
            &profile.name,
            profile.host_bytes,
            limits_bytes,
        ));
    }
    Ok(())
}

async fn wait(
    start: &Start,
    engine: &Docker,
    ids: &[String],
    begun: Instant,
    say: &mut dyn FnMut(&str),
) -> Result<End, Failure> {
    let mut wait = Wait::new(start.bound);
    loop {
        let seen = look(engine, ids).await?;
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
