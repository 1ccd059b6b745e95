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

#[cfg(test)]
mod tests {
    use std::future::{Future, ready};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;
    use crate::engine::{Event, Usage, Way};

    /// One whose metrics are at this address, one whose metrics are nowhere, and one that is gone when it is asked about.
    struct Fake(String);

    impl Actuator for Fake {
        fn containers(&self) -> impl Future<Output = Result<Vec<Container>, EngineError>> + Send {
            let container = |id: &str, url: Option<String>| Container {
                id: id.to_owned(),
                service: id.to_owned(),
                metrics_url: url,
                limit_bytes: Some(100),
                swap_limit_bytes: None,
            };
            let dead = "http://127.0.0.1:1/metrics".to_owned();
            ready(Ok(vec![
                container("a-tells", Some(self.0.clone())),
                container("b-silent", Some(dead)),
                container("c-gone", None),
            ]))
        }

        fn usage(&self, id: &str) -> impl Future<Output = Result<Usage, EngineError>> + Send {
            ready(match id {
                "c-gone" => Err(EngineError::Gone(id.to_owned())),
                _ => Ok(Usage {
                    used_bytes: 60,
                    limit_bytes: Some(100),
                    oom_kills_total: None,
                }),
            })
        }

        fn resize(
            &self,
            _: &str,
            _: u64,
            _: Way,
        ) -> impl Future<Output = Result<(), EngineError>> + Send {
            ready(Ok(()))
        }

        fn watch(
            &self,
            _: &mpsc::Sender<Event>,
        ) -> impl Future<Output = Result<(), EngineError>> + Send {
            ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_a_service_says_is_taken_and_what_is_not_known_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let body = "plimsoll_reclaimable_bytes{hook=\"a\"} 40\nplimsoll_pressure_level 2\n";
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let mut samples = gather(&Fake(url), &Scraper::new()).await.unwrap();
        samples.sort_by(|a, b| a.id.cmp(&b.id));
        let seen: Vec<_> = samples
            .iter()
            .map(|one| (one.used_bytes, one.reclaimable_bytes, one.level))
            .collect();
        let tells = (Some(60), Some(40), Some(PressureLevel::High));
        assert_eq!(seen, [tells, (Some(60), None, None), (None, None, None)]);
    }
}
