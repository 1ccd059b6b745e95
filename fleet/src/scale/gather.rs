//! [`gather`]: one reading of everything, all services at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::engine::{Actuator, Container, EngineError, LeftOut, Usage};
use crate::scale::exposition::Told;
use crate::scale::scrape::Scraper;

/// One container, and what is known of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) container: Container,
    /// `None`: it is not in the profile, and nobody asked.
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
    let mut readings = JoinSet::new();
    let containers = engine.containers().await?;
    let left_out = engine.left_out();
    for (position, mut container) in containers.into_iter().enumerate() {
        let (engine, scraper) = (Arc::clone(&engine), scraper.clone());
        let port = ports.get(&container.service).copied();
        readings.spawn(async move {
            let Some(port) = port else {
                return (position, Seen::outside(container));
            };
            if let (None, Some(port)) = (&container.metrics_url, port) {
                container.metrics_url = Some(format!("http://127.0.0.1:{port}/metrics"));
            }
            // Docker's reading may take a second, and is new when it comes. Claims from before it would lack what a cache took meanwhile,
            // and a peak of the floor is remembered for long.
            let usage = Some(engine.usage(&container.id).await);
            let told = match &container.metrics_url {
                Some(url) => Some(scraper.metrics(url).await),
                None => None,
            };
            let seen = Seen {
                container,
                usage,
                told,
            };
            (position, seen)
        });
    }
    let mut all = readings.join_all().await;
    all.sort_by_key(|(position, _)| *position);
    let seen = all.into_iter().map(|(_, seen)| seen).collect();
    Ok(Reading { seen, left_out })
}

impl Seen {
    fn outside(container: Container) -> Seen {
        Seen {
            container,
            usage: None,
            told: None,
        }
    }
}
