//! What the service behind the layers does, whoever serves it.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use plimsoll::{MemoryLimit, Site};
use tokio::task::yield_now;

/// What each request may hold, on both sites.
pub const LIMIT: MemoryLimit = MemoryLimit::mib(1);
/// Where `/large` is, and nothing else.
pub static LARGE: Site = Site::new("large requests");
/// All other paths.
pub static OTHERS: Site = Site::new("other requests");

/// More than half of the limit: two requests that were taken for one would be over it.
const HELD_BYTES: usize = 640 << 10;
const STEP_BYTES: usize = 256 << 10;
const TOO_MANY_STEPS: usize = 64;
const YIELDS: usize = 8;

/// What was seen behind the layers.
#[derive(Clone, Default)]
pub struct App {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    reached: AtomicU64,
    running: AtomicI64,
    frames: AtomicU64,
}

/// Counts a request as running until it ends in whatever way.
struct Running<'a>(&'a AtomicI64);

impl<'a> Running<'a> {
    fn new(running: &'a AtomicI64) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Running(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl App {
    /// Requests that came through.
    pub fn reached(&self) -> u64 {
        self.counts.reached.load(Ordering::SeqCst)
    }

    /// Those of them that have not ended.
    pub fn running(&self) -> i64 {
        self.counts.running.load(Ordering::SeqCst)
    }

    /// Frames of bodies that were read, by whomever.
    pub fn frames(&self) -> u64 {
        self.counts.frames.load(Ordering::SeqCst)
    }

    /// Counts the frames of `body` that are read; for outside of the layers.
    pub fn counted<B>(&self, body: B) -> Counted<B> {
        Counted {
            body,
            counts: Arc::clone(&self.counts),
        }
    }

    /// Serves a request.
    pub async fn serve<B>(self, path: String, body: B) -> Bytes
    where
        B: Body<Data = Bytes> + Send,
        B::Error: std::fmt::Debug,
    {
        self.counts.reached.fetch_add(1, Ordering::SeqCst);
        let _running = Running::new(&self.counts.running);
        match &*path {
            "/large" => {
                let mut kept = Vec::new();
                for _ in 0..TOO_MANY_STEPS {
                    kept.push(vec![1u8; STEP_BYTES]);
                    yield_now().await;
                }
                Bytes::from("nobody stopped it")
            }
            "/held" => {
                let kept = vec![1u8; HELD_BYTES];
                for _ in 0..YIELDS {
                    yield_now().await;
                }
                Bytes::from(kept.len().to_string())
            }
            "/length" => match body.collect().await {
                Ok(body) => Bytes::from(body.to_bytes().len().to_string()),
                Err(error) => Bytes::from(format!("{error:?}")),
            },
            "/answer" => Bytes::from(vec![1u8; TOO_MANY_STEPS * STEP_BYTES]),
            "/stuck" => {
                let _kept = vec![1u8; HELD_BYTES];
                pending().await
            }
            // The body is never read.
            _ => Bytes::from("served"),
        }
    }
}

/// A body whose frames are counted as they are read.
pub struct Counted<B> {
    body: B,
    counts: Arc<Counts>,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.counts.frames.fetch_add(1, Ordering::SeqCst);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
