//! The recorder: a thread that takes a frame a second, keeps an hour of them, and tells whoever reads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use once_cell::sync::OnceCell;
use tokio::sync::watch;

use crate::manager::{MemoryManager, get_memory_manager, installed_memory_manager};
use crate::sys::fork::PerProcess;
use crate::sys::lock::Mutex;
use crate::sys::wake::{Sleeper, shielded, wake};
use crate::telemetry::Snapshot;
use crate::telemetry::page::frame::Frame;
use crate::telemetry::page::json;
use crate::telemetry::page::ring::Ring;
use crate::telemetry::page::seats::Seats;

const EVERY: Duration = Duration::from_secs(1);
/// Silent for so long, it hangs: in a hook's estimate, which is the program's own code.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// Who reads at the same time.
const MOST_READERS: usize = 64;
/// Frames that a reader may miss in a row before its seat is another's: half a minute.
const PATIENCE_FRAMES: u64 = 30;
/// The server takes some pieces of the greeting before the socket does; hyper up to 16. These it keeps for as long as the connection
/// lives, so they are small.
const PIECE_BYTES: usize = 4 << 10;
/// Deep enough for a hook's estimate.
const STACK_BYTES: usize = 512 << 10;

static RECORDER: OnceCell<PerProcess<Recorder>> = OnceCell::new();

/// One in a process, whatever number of routers there are; lives as long as the process.
///
/// Threads of a runtime take the locks of `state`, `greetings` and the seats, which nobody holds for long. `hour` is held while the hour
/// is written out, so it is for the recorder and for threads that may block; it is taken before the others.
pub(super) struct Recorder {
    state: Mutex<State>,
    hour: Mutex<Hour>,
    /// For readers that may not clean up, and for those that may; until the next frame.
    greetings: Mutex<[Option<Arc<Greeting>>; 2]>,
    frames: watch::Sender<Present>,
    frames_total: AtomicU64,
    pub(super) seats: Seats,
    /// Somebody wants to see something: from here on it is right to make a manager.
    is_asked: AtomicBool,
    sleeper: Arc<Sleeper>,
}

struct State {
    /// Which thread is the recorder: one that hung and was replaced finds another number here.
    run: u64,
    beat: Option<Instant>,
}

struct Hour {
    ring: Ring,
    last: Option<(Frame, Arc<Snapshot>)>,
}

/// The hour and the present. All who come between two frames share one.
pub(super) struct Greeting {
    /// The number of its last frame.
    pub(super) frame: u64,
    /// Each has memory of its own: one that is on its way does not hold the rest.
    pub(super) pieces: Vec<Bytes>,
}

/// A frame as an event, and its number.
#[derive(Clone, Default)]
pub(super) struct Present {
    pub(super) frame: u64,
    pub(super) event: Bytes,
}

/// Records from now on, if nobody does yet: as soon as there is a manager.
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
        .get_or_init(|| PerProcess::new(Recorder::new(MOST_READERS, PATIENCE_FRAMES)))
        .get(|_| Recorder::new(MOST_READERS, PATIENCE_FRAMES));
    recorder.start(Instant::now())?;
    Ok(recorder)
}

/// The present, as an event. Numbers and strings can always be written.
fn present(frame: &Frame, snapshot: &Snapshot) -> String {
    json::now(frame, snapshot).map_or_else(|_| String::new(), |data| event("now", &data))
}

/// An event of the feed. JSON has no line ends of its own.
fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

impl Recorder {
    pub(super) fn new(most_readers: usize, patience_frames: u64) -> Self {
        Recorder {
            state: Mutex::new(State { run: 0, beat: None }),
            hour: Mutex::new(Hour {
                ring: Ring::new(),
                last: None,
            }),
            greetings: Mutex::default(),
            frames: watch::Sender::new(Present::default()),
            frames_total: AtomicU64::new(0),
            seats: Seats::new(most_readers, patience_frames),
            is_asked: AtomicBool::new(false),
            sleeper: Arc::default(),
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

    /// Somebody wants to see something: if there is no manager yet, the recorder makes one.
    pub(super) fn ask(&self) {
        if !self.is_asked.swap(true, Ordering::Relaxed) && installed_memory_manager().is_none() {
            wake(Arc::clone(&self.sleeper).into());
        }
    }

    fn manager(&self) -> Option<&'static MemoryManager> {
        if self.is_asked.load(Ordering::Relaxed) {
            Some(get_memory_manager())
        } else {
            // The program may be about to install one, and must find the place free.
            installed_memory_manager()
        }
    }

    fn run(&self, run: u64) {
        let mut before = None;
        let mut goes_on = true;
        while goes_on {
            // A panic ends no recording: the next snapshot may do.
            shielded(|| goes_on = self.take(run, &mut before));
            self.sleeper.sleep(Some(Instant::now() + EVERY));
        }
    }

    /// Takes a frame, if there is a manager; `false` when another has taken over.
    fn take(&self, run: u64, before: &mut Option<Arc<Snapshot>>) -> bool {
        let Some(snapshot) = self.manager().map(MemoryManager::snapshot) else {
            return self.is_at_work(run);
        };
        let is_another = |before: &Arc<Snapshot>| !Arc::ptr_eq(before, &snapshot);
        if !before.as_ref().is_none_or(is_another) {
            return self.is_at_work(run);
        }
        let frame = Frame::of(&snapshot, before.as_deref());
        *before = Some(Arc::clone(&snapshot));
        self.keep(frame, snapshot, || self.is_at_work(run))
    }

    /// Whether this thread is still the one; if so, it was here.
    fn is_at_work(&self, run: u64) -> bool {
        let mut state = self.state.lock();
        let is_at_work = state.run == run;
        if is_at_work {
            state.beat = Some(Instant::now());
        }
        is_at_work
    }

    /// Keeps a frame and tells the readers, if `may` says so.
    pub(super) fn keep(
        &self,
        frame: Frame,
        snapshot: Arc<Snapshot>,
        may: impl FnOnce() -> bool,
    ) -> bool {
        let number = {
            let mut hour = self.hour.lock();
            if !may() {
                return false;
            }
            hour.ring.push(frame.clone());
            hour.last = Some((frame.clone(), Arc::clone(&snapshot)));
            *self.greetings.lock() = Default::default();
            self.frames_total.fetch_add(1, Ordering::Relaxed) + 1
        };
        self.seats.clear(number);
        if self.frames.receiver_count() > 0 {
            self.frames.send_replace(Present {
                frame: number,
                event: present(&frame, &snapshot).into(),
            });
        }
        true
    }

    /// How many frames there were.
    pub(super) fn frames_total(&self) -> u64 {
        self.frames_total.load(Ordering::Relaxed)
    }

    /// Where the frames from now on come from.
    pub(super) fn frames(&self) -> watch::Receiver<Present> {
        self.frames.subscribe()
    }

    /// What a new reader gets first, if somebody has written it since the last frame.
    pub(super) fn greeting(&self, may_clean: bool) -> Option<Arc<Greeting>> {
        self.greetings.lock()[usize::from(may_clean)].clone()
    }

    /// The same, written if need be: some milliseconds of work, for a thread that may block.
    pub(super) fn write_greeting(&self, may_clean: bool) -> Arc<Greeting> {
        let hour = self.hour.lock();
        // Whoever waited for the lock finds what the first one wrote.
        if let Some(greeting) = self.greeting(may_clean) {
            return greeting;
        }
        let history = json::history(&hour.ring, may_clean);
        let mut text = history.map_or_else(|_| String::new(), |data| event("history", &data));
        if let Some((frame, snapshot)) = &hour.last {
            text += &present(frame, snapshot);
        }
        let pieces = text.as_bytes().chunks(PIECE_BYTES);
        let greeting = Arc::new(Greeting {
            frame: self.frames_total(),
            pieces: pieces.map(Bytes::copy_from_slice).collect(),
        });
        self.greetings.lock()[usize::from(may_clean)] = Some(Arc::clone(&greeting));
        greeting
    }
}
