//! [`gather`]: one reading of everything, all services at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::{Actuator, Container, EngineError, LeftOut, Usage};
use crate::scale::exposition::Told;
use crate::scale::scrape::Scraper;

/// One container, and what is known of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) container: Container,
    /// `None`: it is not in the profile and has a limit, so nobody asked.
    pub(super) usage: Option<Result<Usage, EngineError>>,
    /// `None`: it has no metrics.
    pub(super) told: Option<Result<Told, String>>,
}

/// One reading of everything.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) seen: Vec<Seen>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Services of the profile, and their ports on 127.0.0.1 where the engine does not say where metrics are.
pub(super) type Ports = Arc<BTreeMap<String, Option<u16>>>;

/// In the order of the engine's list.
pub(super) async fn gather<A: Actuator + 'static>(
    engine: Arc<A>,
    scraper: Scraper,
    ports: Ports,
) -> Result<Reading, EngineError> {
    let containers = engine.containers().await?;
    let left_out = engine.left_out();
    let mut readings = Vec::with_capacity(containers.len());
    for mut container in containers {
        let port = ports.get(&container.service).copied();
        if let (None, Some(Some(port))) = (&container.metrics_url, port) {
            container.metrics_url = Some(format!("http://127.0.0.1:{port}/metrics"));
        }
        // Of others it matters what they hold: their limit, else what they use.
        let is_asked = port.is_some() || container.limit_bytes.is_none();
        let url = container.metrics_url.clone().filter(|_| port.is_some());
        let (engine, scraper, id) = (Arc::clone(&engine), scraper.clone(), container.id.clone());
        let reading = is_asked.then(|| {
            tokio::spawn(async move {
                // Docker's reading may take a second, and is new when it comes. Claims from before it would lack what a cache took
                // meanwhile, and a peak of the floor is remembered for long.
                let usage = engine.usage(&id).await;
                let told = match url {
                    Some(url) => Some(scraper.metrics(&url).await),
                    None => None,
                };
                (usage, told)
            })
        });
        readings.push((container, reading));
    }
    let mut seen = Vec::with_capacity(readings.len());
    for (container, reading) in readings {
        let (usage, told) = match reading {
            None => (None, None),
            Some(reading) => match reading.await {
                Ok((usage, told)) => (Some(usage), told),
                // Of one service only, and the others are waited for.
                Err(mistake) => (Some(Err(EngineError::Refused(mistake.to_string()))), None),
            },
        };
        seen.push(Seen {
            container,
            usage,
            told,
        });
    }
    Ok(Reading { seen, left_out })
}
