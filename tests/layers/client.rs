//! [`Client`]: hyper's client on one connection, and what it makes of an answer.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, TE};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plimsoll::layers::Refusal;
use tokio::net::TcpStream;

use crate::server::{Kind, Server};

type Sent = Full<Bytes>;

/// One connection.
pub enum Client {
    Http1(http1::SendRequest<Sent>),
    Http2(http2::SendRequest<Sent>),
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Served,
    /// HTTP has one status for both reasons.
    Refused,
    RefusedAs(Refusal),
}

impl Kind {
    /// What a client of this kind is told.
    pub fn refused_as(self, reason: Refusal) -> Outcome {
        match self {
            Kind::Axum | Kind::Hyper => Outcome::Refused,
            Kind::Grpc => Outcome::RefusedAs(reason),
        }
    }
}

impl Client {
    pub async fn connect(server: &Server) -> Client {
        let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
        match server.kind {
            Kind::Axum | Kind::Hyper => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Client::Http1(sender)
            }
            Kind::Grpc => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.unwrap();
                tokio::spawn(connection);
                Client::Http2(sender)
            }
        }
    }

    /// What became of a request without much of a body.
    pub async fn ask(&mut self, path: &str) -> Outcome {
        self.send(path, "x").await.0
    }

    /// The same, and the text of the answer.
    pub async fn send(&mut self, path: &str, body: impl Into<Bytes>) -> (Outcome, Bytes) {
        let body = Full::new(body.into());
        let (head, body) = match self {
            Client::Http1(sender) => {
                let request = Request::post(path).header(HOST, "here").body(body);
                sender.ready().await.unwrap();
                sender.send_request(request.unwrap()).await
            }
            Client::Http2(sender) => {
                let request = Request::post(format!("http://here{path}"))
                    .header(CONTENT_TYPE, "application/grpc+proto")
                    .header(TE, "trailers")
                    .body(body);
                sender.ready().await.unwrap();
                sender.send_request(request.unwrap()).await
            }
        }
        .unwrap()
        .into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        let body = body.to_bytes();
        match self {
            Client::Http1(_) => (http_outcome(head.status, &head.headers, &body), body),
            Client::Http2(_) => {
                assert_eq!(head.status, StatusCode::OK);
                let outcome = grpc_outcome(&head.headers, trailers.as_ref(), &body);
                (outcome, body.slice(body.len().min(5)..))
            }
        }
    }
}

fn http_outcome(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Outcome {
    match status {
        StatusCode::OK => Outcome::Served,
        StatusCode::SERVICE_UNAVAILABLE => {
            assert_eq!(headers[RETRY_AFTER], "1");
            assert!(body.is_empty());
            Outcome::Refused
        }
        other => panic!("{other}"),
    }
}

/// As gRPC's clients read it: the status is in the trailers, or in the headers of an answer that has nothing else.
fn grpc_outcome(headers: &HeaderMap, trailers: Option<&HeaderMap>, body: &Bytes) -> Outcome {
    assert_eq!(headers[CONTENT_TYPE], "application/grpc");
    let Some(status) = headers.get("grpc-status") else {
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
        return Outcome::Served;
    };
    assert!(body.is_empty() && trailers.is_none());
    assert!(!headers["grpc-message"].is_empty());
    Outcome::RefusedAs(match status.as_bytes() {
        b"14" => Refusal::Shed,
        b"8" => Refusal::Exceeded,
        _ => panic!("{status:?}"),
    })
}

/// So many threads serve, and the caller's asks.
pub fn block_on<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}
