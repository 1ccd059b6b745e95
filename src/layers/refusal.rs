//! The answer to a request that there is no memory for.

use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// Pressure is over in less, as a rule: no cleanup takes longer than its deadline, and a level ends half a second after its cause.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
const GRPC: &str = "application/grpc";
/// gRPC's code for "come again": the one that clients retry.
const GRPC_UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");
/// gRPC's code for "too much": the same request would fail again.
const GRPC_RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");

static REFUSED_TOTAL: AtomicU64 = AtomicU64::new(0);

/// How many requests the layers of this process have refused or stopped.
///
/// ```
/// println!("{} requests were refused", plimsoll::layers::refused_total());
/// ```
pub fn refused_total() -> u64 {
    REFUSED_TOTAL.load(Ordering::Relaxed)
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Memory is short.
    Shed,
    /// The request itself holds more than it may.
    Exceeded,
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

impl Protocol {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        match content_type {
            Some(content_type) if content_type.starts_with(GRPC.as_bytes()) => Protocol::Grpc,
            _ => Protocol::Http,
        }
    }
}

impl Refusal {
    /// Counts it, and answers: 503 with `Retry-After`; in gRPC, whose errors come with 200, the status in its headers.
    #[cold]
    pub(super) fn answer<B: Default>(self, protocol: Protocol) -> Response<B> {
        REFUSED_TOTAL.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        match protocol {
            Protocol::Http => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Protocol::Grpc => {
                let (status, message) = match self {
                    Refusal::Shed => (GRPC_UNAVAILABLE, "memory is short"),
                    Refusal::Exceeded => (GRPC_RESOURCE_EXHAUSTED, "over its memory limit"),
                };
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
                headers.insert("grpc-status", status);
                headers.insert("grpc-message", HeaderValue::from_static(message));
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_is_answered_in_its_own_words() {
        let table = [
            (None, Protocol::Http),
            (Some("application/json"), Protocol::Http),
            (Some("application/grpc"), Protocol::Grpc),
            (Some("application/grpc+proto"), Protocol::Grpc),
            (Some("text/application/grpc"), Protocol::Http),
        ];
        for (content_type, protocol) in table {
            let headers = content_type
                .map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)))
                .into_iter()
                .collect();
            assert_eq!(Protocol::of(&headers), protocol, "{content_type:?}");
        }

        let answer = Refusal::Shed.answer::<()>(Protocol::Http);
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
        assert!(!answer.headers().contains_key("grpc-status"));
        for (refusal, status) in [(Refusal::Shed, "14"), (Refusal::Exceeded, "8")] {
            let answer = refusal.answer::<()>(Protocol::Grpc);
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()[CONTENT_TYPE], GRPC);
            assert_eq!(answer.headers()["grpc-status"], status);
        }
    }
}
