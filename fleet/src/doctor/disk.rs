//! How large volumes are: only the engine's disk usage says it.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::ClientVersion;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// It walks the disk.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 64 << 20;
/// The last version that answers in this form, which bollard no longer reads; the first that is asked for one type alone.
const LAST: (usize, usize) = (1, 51);
const FIRST_WITH_TYPES: (usize, usize) = (1, 42);

#[derive(Deserialize)]
struct DiskUsage {
    #[serde(rename = "Volumes")]
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
struct Volume {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "UsageData")]
    usage: Option<VolumeUsage>,
}

#[derive(Deserialize)]
struct VolumeUsage {
    /// -1: not known.
    #[serde(rename = "Size")]
    size: i64,
}

fn sizes(body: &[u8]) -> Option<BTreeMap<String, u64>> {
    let usage: DiskUsage = serde_json::from_slice(body).ok()?;
    let volumes = usage.volumes.unwrap_or_default().into_iter();
    let sized = volumes.filter_map(|volume| {
        let bytes = u64::try_from(volume.usage?.size).ok()?;
        Some((volume.name, bytes))
    });
    Some(sized.collect())
}

fn path(version: ClientVersion) -> String {
    let version = (version.major_version, version.minor_version).min(LAST);
    let types = match version >= FIRST_WITH_TYPES {
        true => "?type=volume",
        false => "",
    };
    format!("/v{}.{}/system/df{types}", version.0, version.1)
}

/// Sizes by the volumes' names; `None`: the engine does not say, or is not reached by a plain socket.
pub async fn volume_sizes(client: &bollard::Docker, host: &str) -> Option<BTreeMap<String, u64>> {
    let client = client.clone().negotiate_version().await.ok()?;
    let path = path(client.client_version());
    let body = async {
        if let Some(socket) = host.strip_prefix("unix://") {
            return get(UnixStream::connect(socket).await.ok()?, &path).await;
        }
        let address = host
            .strip_prefix("tcp://")
            .or(host.strip_prefix("http://"))?;
        let stream = TcpStream::connect(address.trim_end_matches('/')).await;
        get(stream.ok()?, &path).await
    };
    let body = tokio::time::timeout(TIMEOUT, body).await.ok()??;
    sizes(&body)
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    path: &str,
) -> Option<Bytes> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // Ends when the sender is dropped.
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "docker")
        .body(Empty::<Bytes>::new());
    let response = sender.send_request(request.ok()?).await.ok()?;
    let is_success = response.status().is_success();
    let body = Limited::new(response.into_body(), MAX_BYTES)
        .collect()
        .await;
    drop(sender);
    let _ = connection.await;
    let body = body.ok()?.to_bytes();
    is_success.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_what_is_not_known_has_none() {
        let text = br#"{"LayersSize":1,"Volumes":[{"Name":"a","UsageData":{"RefCount":0,"Size":5}},{"Name":"b","UsageData":{"RefCount":-1,"Size":-1}},{"Name":"c","UsageData":null}]}"#;
        assert_eq!(sizes(text), Some(BTreeMap::from([("a".to_owned(), 5)])));
        assert_eq!(sizes(br#"{"Volumes":null}"#), Some(BTreeMap::new()));
        for text in ["", "[]", r#"{"Volumes":7}"#] {
            assert_eq!(sizes(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn each_engine_is_asked_in_a_form_that_we_read() {
        let table = [
            (1, 41, "/v1.41/system/df"),
            (1, 42, "/v1.42/system/df?type=volume"),
            (1, 53, "/v1.51/system/df?type=volume"),
        ];
        for (major_version, minor_version, expected) in table {
            let version = ClientVersion {
                major_version,
                minor_version,
            };
            assert_eq!(path(version), expected);
        }
    }
}
