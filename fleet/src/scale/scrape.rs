//! [`Scraper`]: what services are asked over HTTP.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::scale::exposition::{self, Told};

/// A service that is well answers in milliseconds; one that hangs must not hold up a round.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(1);
/// Hooks may have much to free.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_BODY_BYTES: usize = 1 << 20;
/// As in the library's routes.
const TOKEN_HEADER: &str = "x-plimsoll-token";
const METRICS_PATH: &str = "/metrics";
const CLEANUP_PATH: &str = "/memory/cleanup";

/// Asks services for their metrics, and to clean up. Keeps no connections.
#[derive(Clone, Debug)]
pub(crate) struct Scraper {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Scraper {
    pub(crate) fn new() -> Scraper {
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Scraper { client }
    }

    /// The error says what is wrong with it.
    pub(crate) async fn metrics(&self, url: &str) -> Result<Told, String> {
        let body = self.ask(Method::GET, url, None, SCRAPE_TIMEOUT).await?;
        let text = std::str::from_utf8(&body);
        let text = text.map_err(|_| format!("{url}: its metrics are no text"))?;
        exposition::read(text).map_err(|nonsense| format!("{url}: {nonsense}"))
    }

    /// Comes back when the cleanup is over. `url` is that of the metrics: the two are neighbours.
    pub(super) async fn cleanup(&self, url: &str, token: &str) -> Result<(), String> {
        let url = match url.strip_suffix(METRICS_PATH) {
            Some(base) => format!("{base}{CLEANUP_PATH}"),
            None => return Err(format!("{url}: does not end in {METRICS_PATH}")),
        };
        let asked = self.ask(Method::POST, &url, Some(token), CLEANUP_TIMEOUT);
        asked.await.map(|_| ())
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        token: Option<&str>,
        within: Duration,
    ) -> Result<Bytes, String> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some(token) = token {
            request = request.header(TOKEN_HEADER, token);
        }
        let request = request
            .body(Full::default())
            .map_err(|error| format!("{url}: {error}"))?;
        let answered = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| format!("{url}: {}", innermost(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BODY_BYTES);
            let body = body.collect().await;
            let body = body.map_err(|error| format!("{url}: {}", innermost(&*error)))?;
            if status != StatusCode::OK {
                let start = String::from_utf8_lossy(&body.to_bytes()[..])
                    .trim()
                    .chars()
                    .take(80)
                    .collect::<String>();
                return Err(format!("{url}: {status} {start:?}"));
            }
            Ok(body.to_bytes())
        };
        match tokio::time::timeout(within, answered).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{url}: no answer within {} s", within.as_secs())),
        }
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = std::iter::successors(Some(error), |error| (**error).source());
    causes
        .by_ref()
        .last()
        .map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one request with these bytes, and gives back what it was asked.
    async fn answering(bytes: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            // The client may hang up before it has all.
            let _ = stream.write_all(&bytes).await;
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (url, served)
    }

    fn ok(body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[tokio::test]
    async fn metrics_come_or_the_reason_why_not() {
        let scraper = Scraper::new();
        let (url, _) = answering(ok("plimsoll_reclaimable_bytes{hook=\"a\"} 7\n")).await;
        let told = scraper.metrics(&url).await.unwrap();
        assert_eq!(told.reclaimable_bytes, Some(7));

        let large = "# \n".repeat(400_000) + "plimsoll_reclaimable_bytes 7\n";
        let table = [
            (ok("<html>"), "none of plimsoll's"),
            (ok(&large), "length limit"),
            (
                b"HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\nfull".to_vec(),
                "500",
            ),
            (b"SSH-2.0-OpenSSH\r\n".to_vec(), "invalid"),
            (Vec::new(), "closed"),
            (
                [
                    &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"[..],
                    &[0xff, 0xfe],
                ]
                .concat(),
                "no text",
            ),
        ];
        for (answer, part) in table {
            let (url, _) = answering(answer).await;
            let why = scraper.metrics(&url).await.unwrap_err();
            assert!(why.starts_with(&url) && why.contains(part), "{part}: {why}");
        }
        let why = scraper.metrics("http://127.0.0.1:1/metrics").await;
        assert!(why.unwrap_err().contains("refused"));
    }

    #[tokio::test]
    async fn one_that_hangs_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let why = Scraper::new().metrics(&url).await.unwrap_err();
        assert!(why.ends_with("no answer within 1 s"), "{why}");
    }

    #[tokio::test]
    async fn a_cleanup_is_asked_for_with_the_token() {
        let scraper = Scraper::new();
        let (url, served) = answering(ok("done\n")).await;
        scraper.cleanup(&url, "sixteen-letters!").await.unwrap();
        let asked = served.await.unwrap();
        assert!(
            asked.starts_with("POST /memory/cleanup HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("\r\nx-plimsoll-token: sixteen-letters!\r\n"),
            "{asked}"
        );

        let forbidden = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nanother".to_vec();
        let (url, _) = answering(forbidden).await;
        let why = scraper.cleanup(&url, "sixteen-letters?").await.unwrap_err();
        assert!(why.contains("403") && !why.contains("sixteen"), "{why}");
    }
}
