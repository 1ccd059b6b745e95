//! The recorder: a thread that takes a frame a second, keeps an hour of them, and tells whoever reads.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use once_cell::sync::OnceCell;
use tokio::sync::{Semaphore, watch};

use crate::manager::get_memory_manager;
use crate::sys::fork::PerProcess;
use crate::sys::lock::Mutex;
use crate::sys::wake::shielded;
use crate::telemetry::Snapshot;
use crate::telemetry::page::frame::Frame;
use crate::telemetry::page::json;
use crate::telemetry::page::ring::Ring;

const EVERY: Duration = Duration::from_secs(1);
/// Silent for so long, it hangs: in a hook's estimate, which is the program's own code.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// Who reads at the same time. Each costs a socket and two or three frames.
const MOST_READERS: usize = 64;
/// Deep enough for a hook's estimate.
const STACK_BYTES: usize = 512 << 10;

static RECORDER: OnceCell<PerProcess<Recorder>> = OnceCell::new();

/// One in a process, whatever number of routers there are; lives as long as the process.
pub(super) struct Recorder {
    state: Mutex<State>,
    frames: watch::Sender<Bytes>,
    pub(super) seats: Arc<Semaphore>,
}

struct State {
    ring: Ring,
    last: Option<(Frame, Arc<Snapshot>)>,
    /// Which thread is the recorder: one that hung and was replaced finds another number here.
    run: u64,
    beat: Option<Instant>,
}

/// Records from now on, if nobody does yet.
///
/// # Errors
///
/// No thread could be started; the next call tries again.
pub(in crate::telemetry) fn record() -> io::Result<()> {
    recorder().map(|_| ())
}

/// The recorder of this process, at work.
pub(super) fn recorder() -> io::Result<&'static Recorder> {
    let recorder = RECORDER
        .get_or_init(|| PerProcess::new(Recorder::new()))
        .get(|_| Recorder::new());
    recorder.start(Instant::now())?;
    Ok(recorder)
}

/// The present, as an event. Numbers and strings can always be written.
fn present(frame: &Frame, snapshot: &Snapshot) -> Bytes {
    json::now(frame, snapshot).map_or_else(|_| Bytes::new(), |data| event("now", &data))
}

/// An event of the feed. JSON has no line ends of its own.
fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

impl Recorder {
    fn new() -> Self {
        Recorder {
            state: Mutex::new(State {
                ring: Ring::new(),
                last: None,
                run: 0,
                beat: None,
            }),
            frames: watch::Sender::new(Bytes::new()),
            seats: Arc::new(Semaphore::new(MOST_READERS)),
        }
    }

    /// Starts a thread if there is none, or if the one there is hangs.
    fn start(&'static self, now: Instant) -> io::Result<()> {
        let mut state = self.state.lock();
        let is_at_work = |beat| now.saturating_duration_since(beat) < HANGS_AFTER;
        if state.beat.is_some_and(is_at_work) {
            return Ok(());
        }
        let run = state.run + 1;
        std::thread::Builder::new()
            .name("plimsoll-page".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || self.run(run))?;
        state.run = run;
        state.beat = Some(now);
        Ok(())
    }

    fn run(&self, run: u64) {
        let mut before = None;
        let mut goes_on = true;
        while goes_on {
            // A panic ends no recording: the next snapshot may do.
            shielded(|| goes_on = self.take(run, &mut before));
            std::thread::sleep(EVERY);
        }
    }

    /// Takes a frame; `false` when another has taken over.
    fn take(&self, run: u64, before: &mut Option<Arc<Snapshot>>) -> bool {
        let snapshot = get_memory_manager().snapshot();
        let frame = Frame::of(&snapshot, before.as_deref());
        *before = Some(Arc::clone(&snapshot));
        {
            let mut state = self.state.lock();
            if state.run != run {
                return false;
            }
            state.beat = Some(Instant::now());
            state.ring.push(frame.clone());
            state.last = Some((frame.clone(), Arc::clone(&snapshot)));
        }
        if self.frames.receiver_count() > 0 {
            self.frames.send_replace(present(&frame, &snapshot));
        }
        true
    }

    /// What a new reader gets first, the hour and the present; and where the rest comes from.
    pub(super) fn join(&self, may_clean: bool) -> (Bytes, watch::Receiver<Bytes>) {
        let receiver = self.frames.subscribe();
        let (history, last) = {
            let state = self.state.lock();
            (json::history(&state.ring, may_clean), state.last.clone())
        };
        let history = history.map_or_else(|_| Bytes::new(), |data| event("history", &data));
        let now = last.map(|(frame, snapshot)| present(&frame, &snapshot));
        let greeting = [history, now.unwrap_or_default()].concat();
        (greeting.into(), receiver)
    }
}
