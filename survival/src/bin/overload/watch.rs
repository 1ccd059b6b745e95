//! [`Watch`]: when a hook ran, how soon after the line was crossed, and how much was used at most.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use plimsoll::{ClaimedBytes, CleanupHook, CleanupRequest, MemoryManager};
use plimsoll_survival::Latency;

use crate::cache::Cache;
use crate::histogram::Histogram;
use crate::library;

pub struct Watch {
    start: Instant,
    /// Odd while a hook runs, and another at each start and end.
    phase: AtomicU64,
    /// When usage was below the line for the last time before it was seen above; 0 when nobody waits for a reclaim.
    crossed_ns: AtomicU64,
    /// When a hook gave something back for the first time in its run.
    reclaimed_ns: AtomicU64,
    delays: Mutex<Histogram>,
    stopped: AtomicBool,
}

impl Watch {
    pub fn new() -> Self {
        Watch {
            start: Instant::now(),
            phase: AtomicU64::new(0),
            crossed_ns: AtomicU64::new(0),
            reclaimed_ns: AtomicU64::new(0),
            delays: Mutex::new(Histogram::new()),
            stopped: AtomicBool::new(false),
        }
    }

    pub fn phase(&self) -> u64 {
        self.phase.load(Ordering::Acquire)
    }

    /// Whether a hook ran at some time between the moments at which the phase was `from` and `to`.
    pub fn cleaned_between(from: u64, to: u64) -> bool {
        from % 2 == 1 || from != to
    }

    pub fn delays(&self) -> Latency {
        let delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.latency()
    }

    /// Never 0.
    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64 + 1
    }

    fn reclaimed_first(&self) {
        let now_ns = self.now_ns();
        self.reclaimed_ns.store(now_ns, Ordering::Release);
        let crossed_ns = self.crossed_ns.swap(0, Ordering::AcqRel);
        if crossed_ns != 0 {
            self.record(crossed_ns, now_ns);
        }
    }

    /// Usage was below the line at `below_ns` and above at the next look.
    fn crossed(&self, below_ns: u64) {
        let reclaimed_ns = self.reclaimed_ns.load(Ordering::Acquire);
        if reclaimed_ns > below_ns {
            // The hook was faster than the sampler.
            self.record(below_ns, reclaimed_ns);
        } else {
            self.crossed_ns.store(below_ns, Ordering::Release);
        }
    }

    fn record(&self, from_ns: u64, to_ns: u64) {
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.record(Duration::from_nanos(to_ns.saturating_sub(from_ns)));
    }
}

/// The cache's cleanup hook.
pub struct EvictOldest {
    pub cache: Arc<Cache>,
    pub watch: Arc<Watch>,
}

impl CleanupHook for EvictOldest {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        self.watch.phase.fetch_add(1, Ordering::AcqRel);
        // The first step is small, so that the moment of the first byte is that and not the end.
        let mut freed_bytes = self.cache.evict(1, || true);
        if freed_bytes > 0 {
            self.watch.reclaimed_first();
        }
        let rest_bytes = request.target_bytes.saturating_sub(freed_bytes);
        freed_bytes += self
            .cache
            .evict(rest_bytes, || Instant::now() < request.deadline);
        self.watch.phase.fetch_add(1, Ordering::AcqRel);
        ClaimedBytes::bytes(freed_bytes)
    }

    fn name(&self) -> &str {
        "event cache"
    }

    fn estimate(&self) -> Option<u64> {
        Some(self.cache.counts().held_bytes)
    }
}

/// What the sampler saw.
#[derive(Default)]
pub struct Seen {
    pub peak_percent: Option<f64>,
    pub samples_by_level: [u64; 4],
}

pub struct Sampler {
    watch: Arc<Watch>,
    thread: JoinHandle<Seen>,
}

impl Sampler {
    /// Looks every `every`; without a manager at RSS, of `limit_bytes`.
    pub fn start(
        manager: Option<&'static MemoryManager>,
        watch: Arc<Watch>,
        every: Duration,
        limit_bytes: u64,
    ) -> Self {
        let thread = std::thread::spawn({
            let watch = Arc::clone(&watch);
            move || match manager {
                Some(manager) => sample(manager, &watch, every),
                None => sample_rss(&watch, every, limit_bytes),
            }
        });
        Sampler { watch, thread }
    }

    pub fn stop(self) -> Seen {
        self.watch.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn sample(manager: &MemoryManager, watch: &Watch, every: Duration) -> Seen {
    let mut seen = Seen::default();
    let mut below_ns = None;
    let line_percent = library::elevated_percent(manager);
    while !watch.stopped.load(Ordering::Relaxed) {
        let percent = manager.usage().percent();
        seen.peak_percent = max(seen.peak_percent, percent);
        seen.samples_by_level[manager.pressure() as usize] += 1;
        if percent.is_some_and(|percent| percent <= line_percent) {
            below_ns = Some(watch.now_ns());
            // It went by itself.
            watch.crossed_ns.store(0, Ordering::Release);
        } else if let Some(below_ns) = below_ns.take() {
            watch.crossed(below_ns);
        }
        std::thread::sleep(every);
    }
    seen
}

fn sample_rss(watch: &Watch, every: Duration, limit_bytes: u64) -> Seen {
    let mut seen = Seen::default();
    while !watch.stopped.load(Ordering::Relaxed) {
        let percent = rss_bytes().map(|rss| rss as f64 * 100.0 / limit_bytes as f64);
        seen.peak_percent = max(seen.peak_percent, percent);
        std::thread::sleep(every);
    }
    seen
}

fn rss_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn max(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_overlaps_a_hook_is_told() {
        for (from, to, expected) in [
            (0, 0, false),
            (0, 1, true),
            (1, 1, true),
            (0, 2, true),
            (2, 2, false),
        ] {
            assert_eq!(Watch::cleaned_between(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_delay_counts_from_the_last_look_below_whoever_was_faster() {
        let watch = Watch::new();
        watch.reclaimed_first();
        assert_eq!(watch.delays().count, 0, "nobody waited for it");
        let below_ns = watch.now_ns();
        watch.crossed(below_ns);
        assert_eq!(watch.delays().count, 0);
        watch.reclaimed_first();
        assert_eq!(watch.delays().count, 1);
        watch.reclaimed_first();
        assert_eq!(watch.delays().count, 1);
        let below_ns = watch.now_ns();
        watch.reclaimed_first();
        watch.crossed(below_ns);
        assert_eq!(watch.delays().count, 2);
        watch.reclaimed_first();
        assert_eq!(watch.delays().count, 2, "the crossing was answered already");
    }
}
