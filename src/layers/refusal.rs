//! [`Refusal`]: why a request is not served, how often that was, and what its client is told.

use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// The least that the header can say, and a hundred times as long as High outlives its cause.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
/// "Come again": the code that clients retry.
const GRPC_UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");
/// "Too much": the same request would fail again.
const GRPC_RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");
/// The content types of gRPC, without what says how messages are encoded: a refusal has none.
const GRPC_TYPES: [&str; 3] = [
    "application/grpc",
    "application/grpc-web",
    "application/grpc-web-text",
];

static REFUSED_TOTALS: [AtomicU64; Refusal::ALL.len()] =
    [const { AtomicU64::new(0) }; Refusal::ALL.len()];

/// How many requests the layers of this process did not serve for this `reason`.
///
/// ```
/// use plimsoll::layers::{Refusal, refused_total};
///
/// let refused: u64 = Refusal::ALL.iter().map(|&reason| refused_total(reason)).sum();
/// assert_eq!(refused, 0);
/// ```
pub fn refused_total(reason: Refusal) -> u64 {
    REFUSED_TOTALS[reason as usize].load(Ordering::Relaxed)
}

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Memory was short, and nothing of it was read.
    Shed,
    /// The request itself held more than it may, and was stopped.
    Exceeded,
}

impl Refusal {
    /// Every reason that there is.
    pub const ALL: &[Refusal] = &[Refusal::Shed, Refusal::Exceeded];

    /// As metrics call it.
    ///
    /// ```
    /// use plimsoll::layers::Refusal;
    ///
    /// assert_eq!(Refusal::Shed.name(), "shed");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::Shed => "shed",
            Refusal::Exceeded => "exceeded",
        }
    }

    /// Counts it, and answers: 503 with `Retry-After`; in gRPC, whose errors come with 200, the status in the headers, as there is no
    /// message after which trailers could come.
    #[cold]
    pub(super) fn answer<B: Default>(self, protocol: Protocol) -> Response<B> {
        REFUSED_TOTALS[self as usize].fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        match protocol {
            Protocol::Http => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Protocol::Grpc { content_type } => {
                let (status, message) = match self {
                    Refusal::Shed => (GRPC_UNAVAILABLE, "memory is short"),
                    Refusal::Exceeded => (GRPC_RESOURCE_EXHAUSTED, "over its memory limit"),
                };
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                headers.insert(GRPC_STATUS, status);
                headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
            }
        }
        response
    }
}

/// What the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    /// gRPC, or what browsers make of it: clients want the content type that they sent.
    Grpc {
        content_type: &'static str,
    },
}

impl Protocol {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let grpc_type = headers.get(CONTENT_TYPE).and_then(|sent| {
            let ends = |rest: &[u8]| matches!(rest.first(), None | Some(b'+' | b';' | b' '));
            GRPC_TYPES.into_iter().find(|known| {
                sent.as_bytes()
                    .strip_prefix(known.as_bytes())
                    .is_some_and(ends)
            })
        });
        match grpc_type {
            Some(content_type) => Protocol::Grpc { content_type },
            None => Protocol::Http,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol_of(content_type: Option<&'static str>) -> Protocol {
        let headers = content_type
            .map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        Protocol::of(&headers)
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        let table = [
            (None, None),
            (Some(""), None),
            (Some("application/json"), None),
            (Some("application/grpc"), Some("application/grpc")),
            (Some("application/grpc+proto"), Some("application/grpc")),
            (
                Some("application/grpc; charset=utf-8"),
                Some("application/grpc"),
            ),
            (
                Some("application/grpc-web+proto"),
                Some("application/grpc-web"),
            ),
            (
                Some("application/grpc-web-text"),
                Some("application/grpc-web-text"),
            ),
            (Some("application/grpcs"), None),
            (Some("text/application/grpc"), None),
        ];
        for (sent, known) in table {
            let expected = known.map_or(Protocol::Http, |content_type| Protocol::Grpc {
                content_type,
            });
            assert_eq!(protocol_of(sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn each_protocol_is_answered_in_its_own_words() {
        let answer = Refusal::Shed.answer::<()>(Protocol::Http);
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
        assert_eq!(answer.headers().len(), 1);
        let content_type = "application/grpc-web";
        for (refusal, status) in [(Refusal::Shed, "14"), (Refusal::Exceeded, "8")] {
            let answer = refusal.answer::<()>(Protocol::Grpc { content_type });
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()[CONTENT_TYPE], content_type);
            assert_eq!(answer.headers()[GRPC_STATUS], status);
            assert!(!answer.headers()[GRPC_MESSAGE].is_empty());
        }
    }

    #[test]
    fn reasons_are_numbered_as_they_are_listed() {
        for (number, &reason) in Refusal::ALL.iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
