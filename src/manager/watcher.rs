//! The watcher: a thread that sleeps until the kernel or systemd tells something, and then rings the worker's bell.
//!
//! ```text
//! worker --plan--> Watcher --seats--> plimsoll-watch: poll(wake, notices) --answer--> Notices, bell
//! ```
//!
//! There is no thread as long as there is nothing to listen to. It runs no code of others, and what tells all the time costs
//! it ten rounds a second at first and one later, and keeps nobody else from being heard.

mod findings;
mod pace;
mod plan;
mod rounds;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(super) use self::plan::Plan;

use self::plan::{SEATS, Wanted};
use self::rounds::Seated;
use crate::manager::notices::{NoticeStats, Notices};
use crate::meter;
use crate::reading::notice::{Notice, NoticeProblem, StallCounter, Wake, WatchRequest};
use crate::sys::lock::Mutex;

/// What could not be had, or ended, is tried again after this time.
const RETRY: Duration = Duration::from_secs(60);
/// Measured over hundreds of rounds: it touches 56 KiB in a debug build and 20 KiB in a release build, thread-local memory included.
const STACK_BYTES: usize = 128 << 10;
/// How the counter is called among the sources.
const COUNTER: &str = "memory.pressure (read)";

/// One process's; a forked child makes its own.
pub(super) struct Watcher {
    /// What `MEMORY_PRESSURE_WATCH` asks for.
    request: Option<WatchRequest>,
    notices: Notices,
    desk: Mutex<Desk>,
    thread: Mutex<Option<Thread>>,
    /// What the worker reads itself where a trigger can't be had.
    counter: Mutex<Option<StallCounter>>,
    /// Rings the worker's bell; whether there still is one.
    ring: Box<dyn Fn() -> bool + Send + Sync>,
}

struct Thread {
    wake: Arc<Wake>,
    handle: JoinHandle<()>,
}

/// Where worker and thread hand things over. Held for some stores only.
#[derive(Default)]
struct Desk {
    seats: [Seat; SEATS],
    stop: bool,
}

/// What was wanted last of one source, and what came of it.
#[derive(Default)]
struct Seat {
    wanted: Wanted,
    state: State,
    /// When it was last tried to have it.
    tried: Option<Instant>,
    change: Option<Change>,
    /// It tells all the time, as of that moment.
    constant: Option<Instant>,
}

impl Seat {
    fn is_due(&self, wanted: &Wanted, now: Instant) -> bool {
        let failed_long_ago = matches!(self.state, State::Failed(_))
            && self.tried.is_none_or(|tried| now - tried >= RETRY);
        failed_long_ago || !wanted.is_near(&self.wanted)
    }
}

#[derive(Default)]
enum State {
    #[default]
    Unused,
    Listening,
    Failed(NoticeProblem),
}

/// What the thread is to do about one source.
enum Change {
    Listen(Box<dyn Notice>),
    Leave,
}

impl Watcher {
    /// `ring` rings the worker's bell, and says whether there still is one.
    pub(super) fn new(ring: impl Fn() -> bool + Send + Sync + 'static) -> Arc<Watcher> {
        Arc::new(Watcher {
            request: WatchRequest::read(|name| std::env::var_os(name)),
            notices: Notices::default(),
            desk: Mutex::default(),
            thread: Mutex::default(),
            counter: Mutex::default(),
            ring: Box::new(ring),
        })
    }

    pub(super) fn notices(&self) -> &Notices {
        &self.notices
    }

    pub(super) fn stats(&self) -> NoticeStats {
        let listening = |seat: &&Seat| matches!(seat.state, State::Listening);
        let mut sources: Vec<_> = {
            let desk = self.desk.lock();
            let seats = desk.seats.iter().filter(listening);
            seats.map(|seat| seat.wanted.name()).collect()
        };
        if self.counter.lock().is_some() {
            sources.push(COUNTER);
        }
        self.notices.stats(sources)
    }

    /// The worker only, after every look: listens to what `plan` says. Does nothing as long as that is what it does already.
    pub(super) fn configure(self: &Arc<Self>, plan: Plan) {
        let now = Instant::now();
        let wanted = plan.wanted(self.request.is_some());
        // Opened without the lock: others wait for it.
        let due: Vec<_> = {
            let desk = self.desk.lock();
            let is_due = |(at, wanted): &(usize, Wanted)| desk.seats[*at].is_due(wanted, now);
            wanted.into_iter().enumerate().filter(is_due).collect()
        };
        for (at, wanted) in due {
            let opened = wanted.open(self.request.as_ref());
            self.seat(at, wanted, opened, now);
        }
        self.count_stalls(now);
    }

    fn count_stalls(&self, now: Instant) {
        let mut counter = self.counter.lock();
        match counter.as_mut().map(|counter| counter.is_stalled(now)) {
            Some(Some(true)) => self.notices.stalled(),
            Some(None) => *counter = None,
            Some(Some(false)) | None => {}
        }
    }

    fn seat(
        self: &Arc<Self>,
        at: usize,
        wanted: Wanted,
        opened: Option<Result<Box<dyn Notice>, NoticeProblem>>,
        now: Instant,
    ) {
        let mut thread = self.thread.lock();
        let opened = opened.map(|opened| {
            let notice = opened?;
            match self.start(&mut thread) {
                Ok(()) => Ok(notice),
                Err(error) => Err(NoticeProblem::no_thread(wanted.source(), error)),
            }
        });
        let (state, change) = match opened {
            None => (State::Unused, Change::Leave),
            Some(Ok(notice)) => (State::Listening, Change::Listen(notice)),
            Some(Err(problem)) => (State::Failed(problem), Change::Leave),
        };
        if matches!(
            (&wanted, &state),
            (Wanted::MemoryEvents(_), State::Listening)
        ) {
            self.notices.kills_are_told();
        }
        match (&wanted, &state) {
            (Wanted::StallTrigger(dir), State::Failed(_)) => {
                *self.counter.lock() = StallCounter::open(dir, now);
            }
            (Wanted::StallTrigger(_), _) => *self.counter.lock() = None,
            _ => {}
        }
        // What was there before is dropped after the lock is free.
        let seat = Seat {
            wanted,
            state,
            tried: Some(now),
            change: Some(change),
            constant: None,
        };
        let _before = std::mem::replace(&mut self.desk.lock().seats[at], seat);
        if let Some(thread) = &*thread {
            thread.wake.ring();
        }
    }

    /// Starts the thread unless it runs.
    fn start(self: &Arc<Self>, thread: &mut Option<Thread>) -> io::Result<()> {
        if thread.is_none() {
            let wake = Arc::new(Wake::new()?);
            let handle = std::thread::Builder::new()
                .name("plimsoll-watch".to_owned())
                .stack_size(STACK_BYTES)
                .spawn({
                    let (watcher, wake) = (Arc::clone(self), Arc::clone(&wake));
                    move || {
                        meter::exempt_this_thread();
                        rounds::run(&watcher, &wake);
                    }
                })?;
            *thread = Some(Thread { wake, handle });
        }
        Ok(())
    }

    /// Ends the thread and waits for it. The worker has ended before, or would start it anew.
    pub(super) fn stop(&self) {
        self.desk.lock().stop = true;
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        thread.wake.ring();
        if thread.handle.thread().id() != std::thread::current().id() {
            let _ = thread.handle.join();
        }
    }

    /// The thread only: takes over what has changed; `false` when it is to end.
    fn take_changes(&self, seated: &mut [Option<Seated>; SEATS]) -> bool {
        let mut desk = self.desk.lock();
        let mut left = Vec::new();
        for (seat, seated) in desk.seats.iter_mut().zip(seated) {
            let next = match seat.change.take() {
                None => continue,
                Some(Change::Listen(notice)) => Some(Seated::new(notice, Instant::now())),
                Some(Change::Leave) => None,
            };
            left.extend(std::mem::replace(seated, next));
        }
        let stop = desk.stop;
        // Closing their descriptors is no work to do under the lock.
        drop(desk);
        drop(left);
        !stop
    }

    /// The thread only: nothing will come from there any more.
    fn is_over(&self, at: usize, problem: NoticeProblem) {
        let seat = &mut self.desk.lock().seats[at];
        // What comes next is there already: then nothing has ended but what it replaces.
        if seat.change.is_none() {
            seat.state = State::Failed(problem);
        }
    }

    /// The thread only.
    fn is_constant(&self, at: usize, since: Option<Instant>) {
        self.desk.lock().seats[at].constant = since;
    }
}
