//! One look at every container.

use futures_util::{StreamExt, stream};

use crate::engine::{Actuator, Container, EngineError};
use crate::top::fleet::Sample;

/// So many containers are asked about at a time.
const AT_ONCE: usize = 8;

/// What each uses, and what it says of itself.
///
/// # Errors
///
/// The engine does not list them.
pub async fn gather(engine: &impl Actuator) -> Result<Vec<Sample>, EngineError> {
    let containers = engine.containers().await?;
    let samples = containers.into_iter().map(|container| sample(engine, container));
    Ok(stream::iter(samples).buffer_unordered(AT_ONCE).collect().await)
}

async fn sample(engine: &impl Actuator, container: Container) -> Sample {
    let usage = engine.usage(&container.id).await.ok();
    Sample {
        used_bytes: usage.map(|usage| usage.used_bytes),
        limit_bytes: container.limit_bytes,
        reclaimable_bytes: None,
        level: None,
        service: container.service,
        id: container.id,
    }
}
