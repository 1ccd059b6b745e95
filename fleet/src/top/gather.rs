//! One look at every container.

use futures_util::{StreamExt, stream};
use plimsoll::PressureLevel;

use crate::engine::{Actuator, Container, EngineError};
use crate::scale::Scraper;
use crate::top::fleet::Sample;

/// So many containers are asked about at a time.
const AT_ONCE: usize = 8;

/// What each uses, and what it says of itself.
///
/// # Errors
///
/// The engine does not list them.
pub async fn gather(engine: &impl Actuator, scraper: &Scraper) -> Result<Vec<Sample>, EngineError> {
    let containers = engine.containers().await?;
    let samples = containers
        .into_iter()
        .map(|container| sample(engine, scraper, container));
    Ok(stream::iter(samples)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await)
}

async fn sample(engine: &impl Actuator, scraper: &Scraper, container: Container) -> Sample {
    let told = async {
        let url = container.metrics_url.as_deref()?;
        // Why it says nothing is for the scaler to report; here it is unknown.
        scraper.metrics(url).await.ok()
    };
    let (usage, told) = tokio::join!(engine.usage(&container.id), told);
    let level = told.and_then(|told| told.pressure_level);
    Sample {
        used_bytes: usage.ok().map(|usage| usage.used_bytes),
        limit_bytes: container.limit_bytes,
        reclaimable_bytes: told.and_then(|told| told.reclaimable_bytes),
        level: level.and_then(|level| PressureLevel::ALL.get(usize::from(level)).copied()),
        service: container.service,
        id: container.id,
    }
}
