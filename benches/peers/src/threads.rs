//! Work on several threads at once, timed by their own processor time, so that other programs on the machine do not count.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Where threads wait for each other. They keep their processors meanwhile: whoever has to be woken comes when the others are done.
#[derive(Debug)]
pub struct Start {
    missing: AtomicI32,
}

impl Start {
    /// Returns when all threads are here.
    pub fn wait(&self) {
        self.missing.fetch_sub(1, Ordering::Relaxed);
        while self.missing.load(Ordering::Relaxed) > 0 {
            spin_loop();
        }
    }
}

/// Nobody waits for a thread that does not come any more.
struct OpenedByPanic<'a>(&'a Start);

impl Drop for OpenedByPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.missing.store(0, Ordering::Relaxed);
        }
    }
}

/// Calls `work` on so many threads at once, each on a processor of its own as far as there are enough, and returns the mean of what it returned there. Once it is prepared it waits for the
/// others, and times the rest with [`timed`].
///
/// # Panics
/// When `work` does.
pub fn on_threads(threads: u32, work: impl Fn(&Start) -> Duration + Sync) -> Duration {
    let start = Start {
        missing: AtomicI32::new(threads.cast_signed()),
    };
    let (work, start) = (&work, &start);
    let total: Duration = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    let _opened = OpenedByPanic(start);
                    stay_on_processor(number as usize);
                    work(start)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("timed work does not panic"))
            .sum()
    });
    total / threads
}

/// Or two threads might take turns on one processor while the other has something else to do, and never meet.
fn stay_on_processor(number: usize) {
    let allowed = sched_getaffinity(None).expect("this thread may run somewhere");
    let mut processors = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
    if let Some(processor) = processors.nth(number % allowed.count() as usize) {
        let mut only = CpuSet::new();
        only.set(processor);
        // Where this is forbidden, the threads may or may not meet.
        sched_setaffinity(None, &only).ok();
    }
}

/// What `work` takes of this thread's processor time.
pub fn timed(work: impl FnOnce()) -> Duration {
    let began = thread_time();
    work();
    thread_time() - began
}

fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .expect("processor time is never negative")
}
