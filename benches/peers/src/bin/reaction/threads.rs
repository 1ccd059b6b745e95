//! What threads of this process have cost, by name; and threads that only burn time.

use std::fs;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Processor time of all threads whose name begins with `name`, so far. Threads that ended count no more.
///
/// # Panics
/// Without `/proc/self/task/*/schedstat`.
pub fn cpu_time(name: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let nanos: u64 = tasks
        .flatten()
        .filter(|task| {
            let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            comm.starts_with(name)
        })
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    Duration::from_nanos(nanos)
}

/// Twice as many threads as processors that do nothing but run, until dropped.
pub struct Spinning {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinning {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..2 * processors)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        spin_loop();
                    }
                })
            })
            .collect();
        Spinning { stop, threads }
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("spinning does not panic");
        }
    }
}

/// The value below which `share` of the sorted `values` are.
///
/// # Panics
/// When there are none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.max(1) - 1]
}
