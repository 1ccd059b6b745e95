//! [`Beside`]: what goes on beside the requests, by variant: a hot file, a leak, a reserve that nobody touches.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use plimsoll::{LimitExceeded, MemoryLimit, OnExceed};
use plimsoll_survival::Leak;

pub const HOT_FILE: &str = "hot.file";
pub const LEAKY: &str = "leaky";

const RESERVED_BYTES: usize = 8 << 30;
const READ_BYTES: usize = 1 << 20;
/// The hot file is read so fast and no faster: from a cache that holds all of it, it would take a whole processor.
const READ_PER_SECOND: u32 = 256;
const LEAK_BYTES: usize = 64 << 10;
const LEAK_EVERY: Duration = Duration::from_millis(1);
/// From a refusal until it is tried again.
const LEAK_REST: Duration = Duration::from_millis(50);

/// What there is.
pub enum Kind {
    Nothing,
    Reserve,
    /// Reads the file again and again.
    HotFile(PathBuf),
    Leak(LeakBound),
}

/// What ends a leak.
#[derive(Clone, Copy)]
pub enum LeakBound {
    /// A scope: the manager's.
    Scope(u64),
    /// It counts for itself: so that a run without a manager has the same to do as one with. (A scope that is passed would start a
    /// manager by itself.)
    Itself(u64),
}

pub struct Beside {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Done>>>,
}

/// What it did.
#[derive(Default)]
pub struct Done {
    pub file_read_bytes: Option<u64>,
    pub leak: Option<Leak>,
}

impl Beside {
    pub fn start(kind: Kind) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = match kind {
            Kind::Nothing => None,
            Kind::Reserve => Some(spawn(&stop, reserve)),
            Kind::HotFile(path) => {
                let file = File::open(&path).map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?;
                Some(spawn(&stop, move |stop| read_again_and_again(file, stop)))
            }
            Kind::Leak(bound) => Some(spawn(&stop, move |stop| Ok(leak(bound, stop)))),
        };
        Ok(Beside { stop, thread })
    }

    /// Ends it, and gives up what it holds.
    pub fn stop(self) -> io::Result<Done> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread {
            Some(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("what went on beside panicked"))),
            None => Ok(Done::default()),
        }
    }
}

fn spawn(
    stop: &Arc<AtomicBool>,
    work: impl FnOnce(&AtomicBool) -> io::Result<Done> + Send + 'static,
) -> JoinHandle<io::Result<Done>> {
    let stop = Arc::clone(stop);
    thread::spawn(move || work(&stop))
}

fn reserve(stop: &AtomicBool) -> io::Result<Done> {
    let reserved = black_box(vec![0u8; RESERVED_BYTES]);
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(10));
    }
    drop(reserved);
    Ok(Done::default())
}

fn read_again_and_again(mut file: File, stop: &AtomicBool) -> io::Result<Done> {
    let mut buffer = vec![0u8; READ_BYTES];
    let mut read_bytes = 0;
    let each = Duration::from_secs(1) / READ_PER_SECOND;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match file.read(&mut buffer)? {
            0 => file.rewind()?,
            read => read_bytes += read as u64,
        }
        // Time that was lost is not caught up.
        next = (next + each).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(Done {
        file_read_bytes: Some(read_bytes),
        ..Done::default()
    })
}

fn leak(bound: LeakBound, stop: &AtomicBool) -> Done {
    let mut leak = Leak {
        name: LEAKY.to_owned(),
        ..Leak::default()
    };
    while !stop.load(Ordering::Relaxed) {
        // What it held goes when it is refused: a connection that is closed.
        let mut held = Vec::new();
        let refused = match bound {
            LeakBound::Scope(limit_bytes) => leak_in_scope(limit_bytes, &mut held, stop),
            LeakBound::Itself(limit_bytes) => {
                hold_more(&mut held, stop, |held| {
                    held * LEAK_BYTES as u64 <= limit_bytes
                });
                Ok(())
            }
        };
        if let Err(exceeded) = refused {
            leak.refused += 1;
            leak.name = exceeded.site.name().to_owned();
            leak.limit_bytes = exceeded.limit_bytes;
            leak.peak_bytes = leak.peak_bytes.max(exceeded.peak_bytes);
        }
        drop(held);
        if !stop.load(Ordering::Relaxed) {
            thread::sleep(LEAK_REST);
        }
    }
    let leak = matches!(bound, LeakBound::Scope(_)).then_some(leak);
    Done {
        leak,
        ..Done::default()
    }
}

/// Holds more and more, until its scope refuses.
fn leak_in_scope(
    limit_bytes: u64,
    held: &mut Vec<Vec<u8>>,
    stop: &AtomicBool,
) -> Result<(), LimitExceeded> {
    let scope = MemoryLimit::bytes(limit_bytes)
        .named(LEAKY)
        .on_exceed(OnExceed::Error)
        .enter();
    let mut refused = Ok(());
    hold_more(held, stop, |_| {
        refused = plimsoll::checkpoint();
        refused.is_ok()
    });
    drop(scope);
    refused
}

/// `may_go_on` is asked before each further block, with how many there are.
fn hold_more(held: &mut Vec<Vec<u8>>, stop: &AtomicBool, mut may_go_on: impl FnMut(u64) -> bool) {
    while may_go_on(held.len() as u64) && !stop.load(Ordering::Relaxed) {
        held.push(black_box(vec![1u8; LEAK_BYTES]));
        thread::sleep(LEAK_EVERY);
    }
}
