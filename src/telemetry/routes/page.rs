//! The routes of the live page, and what has to be said to clean up by it.

use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use tokio::sync::Semaphore;

use crate::manager::get_memory_manager;
use crate::sys::wake::shielded;
use crate::telemetry::page::{ASSETS, Asset, NoFeed, PAGE, feed, record};
use crate::telemetry::routes::{MemoryRoutes, aside};

const TOKEN: HeaderName = HeaderName::from_static("x-plimsoll-token");
/// Shorter ones can be guessed.
const LEAST_TOKEN_BYTES: usize = 16;
/// Soon enough for a page that comes back, late enough for a crowd.
const RETRY_AFTER_SECONDS: &str = "5";

const SAFE: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// A token that is refused: anybody could guess it, or no header can carry it.
///
/// ```
/// use plimsoll::telemetry::MemoryRoutes;
///
/// let refused = MemoryRoutes::new().allow_cleanup("secret").unwrap_err();
/// assert!(refused.to_string().contains("6 characters"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeakToken {
    /// How many bytes it has.
    pub bytes: usize,
}

impl fmt::Display for WeakToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes;
        write!(
            f,
            "a cleanup token of {bytes} characters: it takes at least {LEAST_TOKEN_BYTES} visible ASCII characters, chosen at random"
        )
    }
}

impl std::error::Error for WeakToken {}

#[derive(Clone)]
pub(super) struct Settings {
    token: Option<Arc<str>>,
    end: Shared<BoxFuture<'static, ()>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            token: None,
            end: pending().boxed().shared(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allows_cleanup = self.token.is_some();
        write!(f, "Settings {{ allows_cleanup: {allows_cleanup} }}")
    }
}

impl MemoryRoutes {
    /// The page gets a button for a cleanup: `POST /memory/cleanup` with this token in the header `x-plimsoll-token` runs
    /// [`force_cleanup`](crate::MemoryManager::force_cleanup). Defaults to not allowed. One runs at a time.
    ///
    /// The token goes over the wire as it is: serve it over TLS, or to the same host.
    ///
    /// ```
    /// use plimsoll::telemetry::MemoryRoutes;
    ///
    /// # fn main() -> Result<(), plimsoll::telemetry::WeakToken> {
    /// let token = "jqfF0TXLs5hb2Nc7"; // from where the service keeps its secrets
    /// let routes = MemoryRoutes::new().allow_cleanup(token)?;
    /// # drop(routes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The token is shorter than 16 characters, or has some that are not visible ASCII.
    pub fn allow_cleanup(mut self, token: &str) -> Result<Self, WeakToken> {
        if token.len() < LEAST_TOKEN_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WeakToken { bytes: token.len() });
        }
        self.page.token = Some(token.into());
        Ok(self)
    }

    /// Ends the feeds when `end` does. A graceful shutdown waits for open responses, and a feed is one as long as the page is open.
    ///
    /// A feed ends when the server asks it for more. Where a socket takes nothing any more (a reader that stalled, a suspended laptop) the
    /// server does not ask: once its buffers are full such a feed loses its seat and what it holds of the hour about 30 s later, so that
    /// others can read, but the connection stays open, and a graceful shutdown waits for it whatever `end` does. Only the server can close
    /// it: give the shutdown a time limit, or the sockets a write timeout.
    ///
    /// ```
    /// use plimsoll::telemetry::MemoryRoutes;
    ///
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let routes = MemoryRoutes::new().until(async {
    ///     let _ = stopped.await; // told, or its other end is gone
    /// });
    /// # drop((routes, stop));
    /// ```
    pub fn until(mut self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        self.page.end = end.boxed().shared();
        self
    }
}

impl Settings {
    pub(super) fn into_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        if let Err(error) = record() {
            shielded(|| {
                tracing::error!(target: "plimsoll", %error, "no thread for the live page; the next reader tries again");
            });
        }
        let mut router = Router::new().route("/memory", file(&PAGE));
        for asset in ASSETS {
            router = router.route(&format!("/memory/{}", asset.name), file(asset));
        }
        let may_clean = self.token.is_some();
        let cleanups = Arc::new(Semaphore::new(1));
        router
            .route(
                "/memory/feed",
                get(async move || answer_with_feed(may_clean, self.end.clone())),
            )
            .route(
                "/memory/cleanup",
                post(async move |headers: HeaderMap| {
                    clean(self.token.as_deref(), &headers, &cleanups).await
                }),
            )
    }
}

fn file<S: Clone + Send + Sync + 'static>(asset: &'static Asset) -> MethodRouter<S> {
    get(async || {
        let headers = [
            (CONTENT_TYPE, asset.content_type),
            // It belongs to the binary that serves it.
            (CACHE_CONTROL, "no-cache"),
        ];
        (SAFE, headers, asset.text)
    })
}

fn answer_with_feed(may_clean: bool, end: Shared<BoxFuture<'static, ()>>) -> Response {
    match feed(may_clean, end) {
        Ok(frames) => {
            let headers = [
                (CONTENT_TYPE, "text/event-stream"),
                (CACHE_CONTROL, "no-store"),
                // nginx holds back what it proxies, unless told.
                (HeaderName::from_static("x-accel-buffering"), "no"),
            ];
            (SAFE, headers, Body::from_stream(frames)).into_response()
        }
        Err(NoFeed::Full) => come_again("as many pages are open as may be; close one\n".to_owned()),
        Err(NoFeed::NoThread(error)) => {
            come_again(format!("no thread to take readings with: {error}\n"))
        }
    }
}

fn come_again(why: String) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    (status, SAFE, [(RETRY_AFTER, RETRY_AFTER_SECONDS)], why).into_response()
}

async fn clean(token: Option<&str>, headers: &HeaderMap, cleanups: &Arc<Semaphore>) -> Response {
    let refuse = |status: StatusCode, why: &'static str| (status, SAFE, why).into_response();
    let Some(token) = token else {
        return refuse(
            StatusCode::FORBIDDEN,
            "this service allows no cleanup from here\n",
        );
    };
    let given = headers.get(TOKEN).map(|value| value.as_bytes());
    if !given.is_some_and(|given| is_same(given, token.as_bytes())) {
        return refuse(
            StatusCode::FORBIDDEN,
            "the header x-plimsoll-token is missing or another\n",
        );
    }
    let Ok(turn) = Arc::clone(cleanups).try_acquire_owned() else {
        return refuse(StatusCode::TOO_MANY_REQUESTS, "a cleanup is under way\n");
    };
    let report = aside(move || {
        let report = get_memory_manager().force_cleanup();
        drop(turn);
        report
    })
    .await;
    (SAFE, format!("{report}\n")).into_response()
}

/// Takes the same time wherever the first difference is; the length is no secret.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(token)
        .fold(0, |all, (one, other)| all | (one ^ other));
    given.len() == token.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for weak in [
            "",
            "short",
            "fifteen-letters",
            "with a space in it",
            "sixteen letters\u{e9}",
        ] {
            let refused = MemoryRoutes::new().allow_cleanup(weak).unwrap_err();
            assert_eq!(refused.bytes, weak.len());
        }
        let routes = MemoryRoutes::new()
            .allow_cleanup("sixteen-letters!")
            .unwrap();
        assert!(!format!("{routes:?}").contains("sixteen"));
        let table = [
            ("sixteen-letters!", true),
            ("sixteen-letters?", false),
            ("Sixteen-letters!", false),
            ("sixteen-letters", false),
            ("sixteen-letters!!", false),
            ("", false),
        ];
        for (given, same) in table {
            assert_eq!(
                is_same(given.as_bytes(), b"sixteen-letters!"),
                same,
                "{given}"
            );
        }
    }
}
