//! The feed: what one reader of the page gets, a frame a second.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::{Either, select};
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::telemetry::page::recorder::recorder;

/// Why nobody is served.
#[derive(Debug)]
pub(in crate::telemetry) enum NoFeed {
    /// As many read as may.
    Full,
    /// There is no thread to take readings.
    NoThread(io::Error),
}

struct Reader {
    greeting: Option<Bytes>,
    frames: watch::Receiver<Bytes>,
    /// Given back when the connection is gone.
    _seat: OwnedSemaphorePermit,
}

/// The feed of one reader, until `end`. It is asked for the next frame when the last one is on its way: a slow reader misses those between,
/// and holds no memory for them.
pub(in crate::telemetry) fn feed<E>(
    may_clean: bool,
    end: E,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static, NoFeed>
where
    E: Future<Output = ()> + Clone + Send + Unpin + 'static,
{
    let recorder = recorder().map_err(NoFeed::NoThread)?;
    let seat = recorder.seats.clone().try_acquire_owned();
    let seat = seat.map_err(|_| NoFeed::Full)?;
    let (greeting, frames) = recorder.join(may_clean);
    let reader = Reader {
        greeting: Some(greeting),
        frames,
        _seat: seat,
    };
    Ok(stream(reader, end))
}

fn stream<E>(
    reader: Reader,
    end: E,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static
where
    E: Future<Output = ()> + Clone + Send + Unpin + 'static,
{
    unfold((reader, end), async |(mut reader, end)| {
        let next = match select(pin!(reader.next()), end.clone()).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => None,
        };
        next.map(|next| (Ok(next), (reader, end)))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        self.frames.changed().await.ok()?;
        Some(self.frames.borrow_and_update().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};
    use std::future::{pending, ready};

    fn now<T>(future: impl Future<Output = T> + Unpin) -> Option<T> {
        future.now_or_never()
    }

    #[test]
    fn a_slow_reader_loses_frames_and_holds_one() {
        let frames = watch::Sender::new(Bytes::new());
        let seats = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let reader = || Reader {
            greeting: Some("hello".into()),
            frames: frames.subscribe(),
            _seat: seats.clone().try_acquire_owned().unwrap(),
        };
        let mut feed = Box::pin(stream(reader(), Box::pin(pending()).shared()));
        assert_eq!(seats.available_permits(), 0);
        assert_eq!(now(feed.next()), Some(Some(Ok("hello".into()))));
        assert_eq!(now(feed.next()), None);
        for n in 0..1000 {
            frames.send_replace(n.to_string().into());
        }
        assert_eq!(now(feed.next()), Some(Some(Ok("999".into()))));
        assert_eq!(now(feed.next()), None);
        drop(feed);
        assert_eq!(seats.available_permits(), 1);

        let mut ended = Box::pin(stream(reader(), Box::pin(ready(())).shared()));
        assert_eq!(
            now(ended.next()),
            Some(Some(Ok("hello".into()))),
            "what is due is said"
        );
        assert_eq!(now(ended.next()), Some(None));
    }
}
