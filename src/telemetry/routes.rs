//! [`MemoryRoutes`]: what people and Prometheus ask for over HTTP.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::manager::get_memory_manager;
use crate::telemetry::prometheus;

#[cfg(feature = "page")]
mod page;
#[cfg(feature = "page")]
pub use page::WeakToken;

/// The routes of the memory of a service, for an `axum::Router` (feature `axum`).
///
/// `GET /metrics` is for Prometheus. With the feature `page`: `GET /memory` is the live page, with its files and its feed below it, of the
/// last hour. All of it says what memory is used for, and by which names: mount it where only those come who may know. Mounting it
/// twice costs nothing more.
///
/// A router may be built before the program [installs](crate::MemoryManagerBuilder::install) its manager: by itself it makes none. The
/// first who asks for `/metrics`, the feed of the page or a cleanup does, if there is none by then; so install before the server listens.
///
/// ```
/// use plimsoll::telemetry::MemoryRoutes;
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let app = axum::Router::<()>::new().merge(MemoryRoutes::new().into_router());
/// let inside = axum::Router::<()>::new().nest("/internal", MemoryRoutes::new().into_router());
/// # drop((app, inside));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it is the router that serves"]
pub struct MemoryRoutes {
    #[cfg(feature = "page")]
    page: page::Settings,
}

impl MemoryRoutes {
    /// Nothing is allowed but to look.
    pub fn new() -> Self {
        MemoryRoutes::default()
    }

    /// The router: to be merged or nested, with any state.
    ///
    /// With the feature `page` the first one starts a thread that takes a reading a second, for the page's last hour: from the moment
    /// at which there is a manager.
    pub fn into_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let router = Router::new().route("/metrics", get(metrics));
        #[cfg(feature = "page")]
        let router = router.merge(self.page.into_router());
        router
    }
}

/// Hooks are asked for estimates: that is the program's own code, and no work for a thread that has other requests to serve.
async fn metrics() -> Response {
    let text = aside(|| get_memory_manager().prometheus()).await;
    ([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], text).into_response()
}

/// On a thread for such things, where there is one.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::runtime::Handle::try_current() {
        Err(_) => work(),
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(done) => done,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        },
    }
}
