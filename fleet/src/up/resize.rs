//! `plimsoll resize`: the guide's `docker update --memory 1g crypto-fusion`, with the swap limit.

use std::fmt;

use crate::engine::{Actuator, Container, EngineError, Way, least_limit_bytes};
use crate::failure::Failure;
use crate::size;

/// One container whose limit was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized {
    pub id: String,
    pub service: String,
    /// `None`: it had none.
    pub from_bytes: Option<u64>,
    pub from_swap_bytes: Option<u64>,
    /// What the engine says it has now.
    pub to_bytes: u64,
    /// `None`: it ended meanwhile.
    pub used_bytes: Option<u64>,
}

impl fmt::Display for Resized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |bytes: Option<u64>| bytes.map_or_else(|| "unlimited".to_owned(), size::human);
        let from = limit(self.from_bytes);
        let to = size::human(self.to_bytes);
        write!(f, "{}: memory {from} -> {to}, ", self.id)?;
        write!(f, "memory and swap {} -> {to}", limit(self.from_swap_bytes))?;
        match self.used_bytes {
            Some(used) => write!(f, "; {} used", size::human(used)),
            None => Ok(()),
        }
    }
}

/// Gives every container of `name` (a service, or one container) a limit of `to_bytes`, memory and swap together.
///
/// # Errors
///
/// There is no such service, it uses more, or the engine refuses: then nothing was changed for the container that the message names
/// first, and it says which were changed before.
pub async fn resize(
    engine: &impl Actuator,
    name: &str,
    to_bytes: u64,
) -> Result<Vec<Resized>, Failure> {
    let running = engine.containers().await?;
    let named = find(&running, name)?;
    // Asked of all before the first is changed: replicas of a service stay alike.
    for container in &named {
        let used_bytes = engine.usage(&container.id).await?.used_bytes;
        let is_lower = container.limit_bytes.is_none_or(|limit| to_bytes < limit);
        if is_lower && to_bytes < least_limit_bytes(used_bytes) {
            return Err(below_usage(&container.id, used_bytes, to_bytes));
        }
    }
    let mut resized = Vec::with_capacity(named.len());
    for container in named {
        let failed = |failure: Failure| after(failure, &resized);
        let asked = engine.resize(&container.id, to_bytes, Way::Set).await;
        asked.map_err(|error| failed(error.into()))?;
        let one = verify(engine, container, to_bytes).await.map_err(failed)?;
        resized.push(one);
    }
    Ok(resized)
}

/// Says what was changed before it failed: replicas are no longer alike.
fn after(failure: Failure, resized: &[Resized]) -> Failure {
    if resized.is_empty() {
        return failure;
    }
    let changed: Vec<String> = resized.iter().map(ToString::to_string).collect();
    let message = format!("{failure}; changed before that: {}", changed.join("; "));
    Failure::new(failure.code, message)
}

/// A container by its own name first, or else those of the service.
fn find<'a>(running: &'a [Container], name: &str) -> Result<Vec<&'a Container>, Failure> {
    let is_named = |container: &&Container| container.id == name;
    let of_service = |container: &&Container| container.service == name;
    if let Some(container) = running.iter().find(is_named) {
        return Ok(vec![container]);
    }
    let found: Vec<&Container> = running.iter().filter(of_service).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut known: Vec<&str> = running.iter().map(|it| it.service.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let known = match known.is_empty() {
        true => "nothing runs".to_owned(),
        false => format!("these run: {}", known.join(", ")),
    };
    let message = format!("no running service or container is called {name:?}; {known}");
    Err(Failure::new(Failure::NO_HOST, message))
}

fn below_usage(id: &str, used_bytes: u64, to_bytes: u64) -> Failure {
    let message = format!(
        "{id} uses {}, so a limit of {} would have it killed: {} is the least; nothing was changed",
        size::human(used_bytes),
        size::human(to_bytes),
        size::human(least_limit_bytes(used_bytes)),
    );
    Failure::new(Failure::REFUSED, message)
}

/// As the engine shows it afterwards.
async fn verify(
    engine: &impl Actuator,
    before: &Container,
    to_bytes: u64,
) -> Result<Resized, Failure> {
    let running = engine.containers().await?;
    let now = running.into_iter().find(|now| now.id == before.id);
    let ended = || EngineError::Gone(format!("{} ended after the change", before.id));
    let now = now.ok_or_else(ended)?;
    // A kernel that does not count swap has no such limit.
    let swap_is = now.swap_limit_bytes.is_none_or(|swap| swap == to_bytes);
    if now.limit_bytes != Some(to_bytes) || !swap_is {
        let seen = now
            .limit_bytes
            .map_or_else(|| "none".to_owned(), size::human);
        let message = format!(
            "{}: the engine said yes to {}, and shows a limit of {seen}",
            before.id,
            size::human(to_bytes)
        );
        return Err(Failure::new(Failure::REFUSED, message));
    }
    let used = engine.usage(&before.id).await;
    Ok(Resized {
        id: before.id.clone(),
        service: before.service.clone(),
        from_bytes: before.limit_bytes,
        from_swap_bytes: before.swap_limit_bytes,
        to_bytes,
        used_bytes: used.ok().map(|used| used.used_bytes),
    })
}

#[cfg(test)]
mod tests;
