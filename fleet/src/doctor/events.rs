//! The engine's own record of OOM kills.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;

use crate::engine::{Docker, EngineError};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Docker keeps 256 of them.
const MAX_EVENTS: usize = 10_000;

/// The engine heard that the kernel killed in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomEvent {
    pub container_id: String,
    pub container_name: Option<String>,
}

fn event(message: EventMessage) -> Option<OomEvent> {
    let actor = message.actor?;
    Some(OomEvent {
        container_id: actor.id?,
        container_name: actor.attributes.and_then(|mut of| of.remove("name")),
    })
}

/// Those of the last `window_s` seconds that the engine still has.
///
/// # Errors
///
/// The engine does not say.
pub async fn read(engine: &Docker, window_s: u64) -> Result<Vec<OomEvent>, EngineError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let since = now.saturating_sub(Duration::from_secs(window_s));
    let stamp = |at: Duration| format!("{}.{:09}", at.as_secs(), at.subsec_nanos());
    let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["oom"])]);
    let options = EventsOptionsBuilder::default()
        .since(&stamp(since))
        .until(&stamp(now))
        .filters(&filters)
        .build();
    let mut messages = Box::pin(engine.client().events(Some(options)).take(MAX_EVENTS));
    let collect = async {
        let mut events = Vec::new();
        while let Some(message) = messages.next().await {
            events.extend(event(message.map_err(|error| engine.failed(error))?));
        }
        Ok(events)
    };
    let late = |_| {
        let seconds = TIMEOUT.as_secs();
        EngineError::Away(format!("{}: no events within {seconds} s", engine.host()))
    };
    tokio::time::timeout(TIMEOUT, collect).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_container() {
        let text = r#"{"Type":"container","Action":"oom","Actor":{"ID":"ab","Attributes":{"name":"crypto-news"}}}"#;
        let expected = OomEvent {
            container_id: "ab".to_owned(),
            container_name: Some("crypto-news".to_owned()),
        };
        assert_eq!(event(serde_json::from_str(text).unwrap()), Some(expected));
        for text in ["{}", r#"{"Actor":{}}"#] {
            assert_eq!(event(serde_json::from_str(text).unwrap()), None);
        }
    }
}
