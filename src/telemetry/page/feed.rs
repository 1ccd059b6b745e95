//! The feed: what one reader of the page gets, a frame a second.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::{Either, select};
use futures_util::stream::unfold;
use tokio::sync::watch;

use crate::telemetry::page::recorder::{Present, Recorder, recorder};
use crate::telemetry::page::seats::Seat;
use crate::telemetry::routes::aside;

/// Why nobody is served.
#[derive(Debug)]
pub(in crate::telemetry) enum NoFeed {
    /// As many read as may.
    Full,
    /// There is no thread to take readings.
    NoThread(io::Error),
}

struct Reader {
    recorder: &'static Recorder,
    may_clean: bool,
    seat: Seat,
    frames: watch::Receiver<Present>,
    /// The number of the last frame that it was told of; `None` before it is greeted.
    told: Option<u64>,
}

/// The feed of one reader, until `end` or until it has taken nothing for half a minute. It is asked for the next frame when the last one
/// is on its way: a slow reader misses those between, and none is kept for it.
pub(in crate::telemetry) fn feed<E>(
    may_clean: bool,
    end: E,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static, NoFeed>
where
    E: Future<Output = ()> + Clone + Send + Unpin + 'static,
{
    let recorder = recorder().map_err(NoFeed::NoThread)?;
    recorder.ask();
    let reader = Reader::new(recorder, may_clean).ok_or(NoFeed::Full)?;
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
    fn new(recorder: &'static Recorder, may_clean: bool) -> Option<Reader> {
        Some(Reader {
            recorder,
            may_clean,
            seat: recorder.seats.take(recorder.frames_total())?,
            frames: recorder.frames(),
            told: None,
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if !self.seat.asks(self.recorder.frames_total()) {
            return None;
        }
        if self.told.is_none() {
            self.greet().await;
        }
        if let Some(piece) = self.seat.piece() {
            return Some(piece);
        }
        loop {
            self.frames.changed().await.ok()?;
            if !self.seat.asks(self.recorder.frames_total()) {
                return None;
            }
            let present = self.frames.borrow_and_update().clone();
            if self.told < Some(present.frame) {
                self.told = Some(present.frame);
                return Some(present.event);
            }
        }
    }

    /// Only now that it is asked for: a body that is never polled holds nothing.
    async fn greet(&mut self) {
        let (recorder, may_clean) = (self.recorder, self.may_clean);
        let greeting = match recorder.greeting(may_clean) {
            Some(greeting) => greeting,
            None => aside(move || recorder.write_greeting(may_clean)).await,
        };
        self.seat.greet(&greeting.pieces);
        self.told = Some(greeting.frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::MemoryManager;
    use crate::telemetry::Snapshot;
    use crate::telemetry::page::frame::tests::frame;
    use futures_util::{FutureExt, StreamExt};
    use std::collections::HashMap;
    use std::future::{pending, ready};
    use std::sync::Arc;

    type Feed = futures_util::stream::BoxStream<'static, Result<Bytes, Infallible>>;

    fn now<T>(future: impl Future<Output = T> + Unpin) -> Option<T> {
        future.now_or_never()
    }

    /// A recorder without a thread.
    fn recorder(most_readers: usize, patience_frames: u64) -> &'static Recorder {
        Box::leak(Box::new(Recorder::new(most_readers, patience_frames)))
    }

    fn record(recorder: &Recorder, seconds: impl IntoIterator<Item = u64>) {
        let stats = MemoryManager::builder().build().unwrap().stats();
        let snapshot = Arc::new(Snapshot::of(stats, Vec::new()));
        let first = frame(0, 1 << 30);
        for t_s in seconds {
            let mut frame = first.clone();
            frame.t_ms = t_s * 1000;
            assert!(recorder.keep(frame, Arc::clone(&snapshot), || true));
        }
    }

    fn join(recorder: &'static Recorder) -> Option<Feed> {
        let reader = Reader::new(recorder, false)?;
        Some(stream(reader, Box::pin(pending()).shared()).boxed())
    }

    fn next(feed: &mut Feed) -> Option<Option<Bytes>> {
        now(feed.next()).map(|next| next.map(|Ok(next)| next))
    }

    /// What is there to be taken.
    fn drain(feed: &mut Feed) -> String {
        let mut text = Vec::new();
        while let Some(next) = next(feed) {
            text.extend_from_slice(&next.expect("it goes on"));
        }
        String::from_utf8(text).unwrap()
    }

    fn times(events: &str) -> Vec<f64> {
        let nows = events.split("event: now\ndata: ").skip(1);
        let nows = nows.map(|now| serde_json::from_str::<serde_json::Value>(now).unwrap());
        nows.map(|now| now["t"].as_f64().unwrap()).collect()
    }

    #[test]
    fn a_slow_reader_loses_frames_and_none_is_told_twice() {
        let recorder = recorder(1, 2000);
        let mut feed = join(recorder).unwrap();
        assert!(join(recorder).is_none(), "the seat is taken");
        // Between joining and the first look.
        record(recorder, 1..=3);
        let greeting = drain(&mut feed);
        assert!(greeting.starts_with("event: history\n"));
        assert_eq!(times(&greeting), [3.0]);
        record(recorder, 4..=1003);
        assert_eq!(times(&drain(&mut feed)), [1003.0]);
        record(recorder, [1004]);
        assert_eq!(times(&drain(&mut feed)), [1004.0]);
        drop(feed);
        assert_eq!(recorder.seats.taken(), 0);

        let reader = Reader::new(recorder, false).unwrap();
        let mut ended = stream(reader, Box::pin(ready(())).shared()).boxed();
        assert!(next(&mut ended).unwrap().is_some(), "what is due is said");
        while next(&mut ended).unwrap().is_some() {}
    }

    #[test]
    fn who_takes_nothing_loses_the_seat_and_who_takes_something_keeps_it() {
        let recorder = recorder(3, 5);
        record(recorder, [1]);
        let mut never = join(recorder).unwrap();
        let mut once = join(recorder).unwrap();
        let mut always = join(recorder).unwrap();
        drain(&mut once);
        for t_s in 2..=5 {
            record(recorder, [t_s]);
            drain(&mut always);
        }
        assert!(join(recorder).is_none(), "not yet");
        record(recorder, [6]);
        let seated = [join(recorder), join(recorder)];
        assert!(seated.iter().all(Option::is_some), "the seats of two");
        assert!(join(recorder).is_none(), "and not of the third");
        assert_eq!(next(&mut never), Some(None), "it has ended");
        assert_eq!(next(&mut once), Some(None), "it has ended");
        assert_eq!(times(&drain(&mut always)), [6.0]);
        // They have nothing to give back any more.
        drop((never, once));
        assert!(join(recorder).is_none());
        drop(seated);
        assert!(join(recorder).is_some());
    }

    #[test]
    fn a_stalled_reader_does_not_hold_memory() {
        const READERS: usize = 64;
        let recorder = recorder(READERS, 30);
        record(recorder, 1..=4000);
        // As a server does whose socket takes nothing: it holds some pieces, and asks for no more.
        let stalled = |n: usize| -> (Feed, Vec<Bytes>) {
            let mut feed = join(recorder).unwrap();
            let pieces = (0..n).map(|_| next(&mut feed).unwrap().unwrap()).collect();
            (feed, pieces)
        };
        let mut readers: Vec<_> = (0..READERS).map(|_| stalled(16)).collect();
        let hour = recorder.greeting(false).expect("it is kept for a second");
        let bytes = |pieces: &[Bytes]| pieces.iter().map(Bytes::len).sum::<usize>();
        assert!(bytes(&hour.pieces) > 64 << 10, "{}", bytes(&hour.pieces));
        let distinct: HashMap<_, _> = readers
            .iter()
            .flat_map(|(_, pieces)| pieces.iter().map(|piece| (piece.as_ptr(), piece.len())))
            .collect();
        assert_eq!(distinct.len(), 16, "one buffer for all");
        for (feed, pieces) in &mut readers {
            let rest = drain(feed);
            assert_eq!(bytes(pieces) + rest.len(), bytes(&hour.pieces));
        }
        drop((readers, hour));

        // In different seconds: the hour is given up with the seat, whatever becomes of the connection.
        let (_feed, pieces) = stalled(2);
        let hour = recorder.greeting(false).unwrap();
        let is_held = |piece: &Bytes| !piece.is_unique();
        let (last, weak) = (hour.pieces.last().unwrap().clone(), Arc::downgrade(&hour));
        drop(hour);
        record(recorder, [4001]);
        assert!(weak.upgrade().is_none(), "the recorder keeps none");
        assert!(is_held(&last), "the reader still has it before it");
        record(recorder, 4002..=4030);
        assert!(!is_held(&last), "it was taken from it");
        assert!(pieces.iter().all(|piece| !is_held(piece)));
        assert_eq!(recorder.seats.taken(), 0);
        assert!(pieces.iter().all(|piece| piece.len() <= 4 << 10));
    }
}
