//! The thread, with sources that a test makes ready when it likes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::Watcher;
use super::plan::Wanted;
use crate::explain::Finding;
use crate::reading::notice::{MemoryEvents, Notice, NoticeProblem, NoticeSource, PollFlags, Told};

/// Ready while its count is above zero; what it says to each event is the test's.
struct Fake {
    source: NoticeSource,
    event: Arc<OwnedFd>,
    answers: Arc<AtomicU64>,
    answer: fn(u64, &OwnedFd) -> Result<Told, NoticeProblem>,
}

impl Notice for Fake {
    fn source(&self) -> NoticeSource {
        self.source
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    fn flags(&self) -> PollFlags {
        PollFlags::IN
    }

    fn answer(&mut self, _ready: PollFlags) -> Result<Told, NoticeProblem> {
        let nth = self.answers.fetch_add(1, SeqCst);
        (self.answer)(nth, &self.event)
    }
}

fn take(event: &OwnedFd) {
    rustix::io::read(event, &mut [0; 8]).unwrap();
}

fn some_problem() -> NoticeProblem {
    let nowhere = std::path::Path::new("/nowhere");
    MemoryEvents::open(nowhere).err().unwrap()
}

/// A watcher, how often it rang, and what it listens to.
struct Scene {
    watcher: Arc<Watcher>,
    rings: Arc<AtomicU64>,
    is_there: Arc<AtomicBool>,
}

struct Source {
    event: Weak<OwnedFd>,
    answers: Arc<AtomicU64>,
}

impl Scene {
    fn new() -> Self {
        let rings = Arc::new(AtomicU64::new(0));
        let is_there = Arc::new(AtomicBool::new(true));
        let watcher = Watcher::new({
            let (rings, is_there) = (Arc::clone(&rings), Arc::clone(&is_there));
            move || {
                rings.fetch_add(1, SeqCst);
                is_there.load(SeqCst)
            }
        });
        Scene {
            watcher,
            rings,
            is_there,
        }
    }

    fn listen(
        &self,
        wanted: Wanted,
        answer: fn(u64, &OwnedFd) -> Result<Told, NoticeProblem>,
    ) -> Source {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let answers = Arc::new(AtomicU64::new(0));
        let source = Source {
            event: Arc::downgrade(&event),
            answers: Arc::clone(&answers),
        };
        let at = match wanted {
            Wanted::MemoryEvents(_) => 0,
            Wanted::PressureWatch | Wanted::StallTrigger(_) => 1,
            _ => 2,
        };
        let fake = Fake {
            source: wanted.source(),
            event,
            answers,
            answer,
        };
        let now = Instant::now();
        self.watcher.seat(at, wanted, Some(Ok(Box::new(fake))), now);
        source
    }

    fn rings(&self) -> u64 {
        self.rings.load(SeqCst)
    }

    fn codes(&self) -> Vec<&'static str> {
        let findings = self.watcher.findings();
        findings
            .iter()
            .map(|finding: &Finding| finding.code)
            .collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.watcher.stop();
        assert!(self.watcher.thread.lock().is_none());
    }
}

impl Source {
    fn fire(&self) {
        let event = self.event.upgrade().expect("still listened to");
        rustix::io::write(&event, &1u64.to_ne_bytes()).unwrap();
    }

    fn answers(&self) -> u64 {
        self.answers.load(SeqCst)
    }

    fn is_left(&self) -> bool {
        self.event.strong_count() == 0
    }
}

#[track_caller]
fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn events() -> Wanted {
    Wanted::MemoryEvents("/own".into())
}

fn line() -> Wanted {
    Wanted::ChargeLine {
        dir: "/own".into(),
        bytes: 1,
    }
}

#[test]
fn without_anything_to_listen_to_there_is_no_thread() {
    let scene = Scene::new();
    let now = Instant::now();
    scene
        .watcher
        .seat(0, events(), Some(Err(some_problem())), now);
    scene.watcher.seat(1, Wanted::Nothing, None, now);
    assert!(scene.watcher.thread.lock().is_none());
    assert_eq!(scene.codes(), ["memory-events-unavailable"]);
    assert_eq!(scene.watcher.stats(), Default::default());
}

#[test]
fn what_is_told_is_counted_and_rung() {
    let scene = Scene::new();
    let events = scene.listen(events(), |nth, event| {
        take(event);
        Ok([Told::Nothing, Told::Look, Told::Killed(2)][nth as usize])
    });
    let stalls = scene.listen(Wanted::PressureWatch, |nth, event| {
        take(event);
        Ok([Told::FalseAlarm, Told::Stalled][nth as usize])
    });
    let line = scene.listen(line(), |_, event| {
        take(event);
        Ok(Told::Look)
    });
    let stats = || scene.watcher.stats();
    assert_eq!(
        stats().sources,
        ["memory.events", "MEMORY_PRESSURE_WATCH", "charge line"]
    );
    assert_eq!(stats().kernel_kills_total, Some(0));
    let is_stalled = || scene.watcher.notices().stalled_within(Duration::MAX);

    events.fire();
    stalls.fire();
    wait_until("two answers", || events.answers() + stalls.answers() == 2);
    line.fire();
    wait_until("a ring", || scene.rings() == 1);
    assert_eq!(
        (stats().limit_events_total, stats().false_alarms_total),
        (0, 1)
    );
    assert_eq!(stats().charge_line_passed_total, 1);
    assert!(!is_stalled());

    stalls.fire();
    wait_until("a ring", || scene.rings() == 2);
    assert!(is_stalled());
    assert_eq!(stats().stalls_total, 1);

    events.fire();
    wait_until("a ring", || scene.rings() == 3);
    assert_eq!(stats().limit_events_total, 1);
    assert!(scene.codes().is_empty());
    events.fire();
    wait_until("a ring", || scene.rings() == 4);
    assert_eq!(stats().kernel_kills_total, Some(2));
    assert_eq!(scene.codes(), ["kernel-killed"]);
}

#[test]
fn what_ends_is_not_asked_again_and_the_others_are() {
    let scene = Scene::new();
    let ends = scene.listen(events(), |_, _| Err(some_problem()));
    let stays = scene.listen(line(), |_, event| {
        take(event);
        Ok(Told::Look)
    });
    // It stays ready for ever, as a file of a cgroup that was removed does.
    ends.fire();
    wait_until("its end", || ends.is_left());
    for n in 1..=5 {
        stays.fire();
        wait_until("a ring", || scene.rings() == n);
    }
    assert_eq!(ends.answers(), 1);
    assert_eq!(scene.codes(), ["memory-events-unavailable"]);
    assert_eq!(scene.watcher.stats().sources, ["charge line"]);

    // Found again, it is listened to again.
    let again = scene.listen(events(), |_, event| {
        take(event);
        Ok(Told::Look)
    });
    assert!(scene.codes().is_empty());
    again.fire();
    wait_until("a ring", || scene.rings() == 6);
}

#[test]
fn what_tells_all_the_time_is_a_finding_and_drowns_nobody() {
    let scene = Scene::new();
    // Never taken: ready whenever it is asked.
    let constant = scene.listen(events(), |_, _| Ok(Told::Look));
    let quiet = scene.listen(line(), |_, event| {
        take(event);
        Ok(Told::Look)
    });
    let start = Instant::now();
    constant.fire();
    wait_until("a finding", || !scene.codes().is_empty());
    assert_eq!(scene.codes(), ["notice-constant"]);
    let at_most = 1 + start.elapsed().as_millis() as u64 / 100;
    assert!(
        constant.answers() <= at_most,
        "{} answers",
        constant.answers()
    );
    quiet.fire();
    wait_until("the quiet one", || quiet.answers() == 1);
    let (rings, answers) = (scene.rings(), constant.answers() + quiet.answers());
    assert!(rings <= answers + 1, "{rings} rings for {answers} answers");
    // Replaced by one that is silent, it is forgotten.
    let silent = scene.listen(events(), |_, _| Ok(Told::Nothing));
    wait_until("its end", || constant.is_left());
    assert!(scene.codes().is_empty());
    assert_eq!(silent.answers(), 0);
}

#[test]
fn what_is_not_wanted_any_more_is_left() {
    let scene = Scene::new();
    let first = scene.listen(line(), |_, _| Ok(Told::Nothing));
    let second = scene.listen(line(), |_, _| Ok(Told::Nothing));
    wait_until("the end of the first", || first.is_left());
    assert!(!second.is_left());
    scene.watcher.seat(2, Wanted::Nothing, None, Instant::now());
    wait_until("the end of the second", || second.is_left());
    assert!(scene.watcher.stats().sources.is_empty());
}

#[test]
fn without_a_worker_the_thread_ends() {
    let scene = Scene::new();
    scene.is_there.store(false, SeqCst);
    let source = scene.listen(line(), |_, event| {
        take(event);
        Ok(Told::Look)
    });
    source.fire();
    wait_until("its end", || source.is_left());
    let thread = scene.watcher.thread.lock().take().unwrap();
    thread.handle.join().unwrap();
}

#[test]
fn where_no_trigger_can_be_had_the_counter_is_read() {
    let scene = Scene::new();
    let dir = tempfile::tempdir().unwrap();
    let write = |total_us: u64| {
        let text = format!("some avg10=0.00 avg60=0.00 avg300=0.00 total={total_us}\n");
        std::fs::write(dir.path().join("memory.pressure"), text).unwrap();
    };
    write(7_000_000);
    let start = Instant::now();
    let trigger = || Wanted::StallTrigger(dir.path().to_owned());
    scene
        .watcher
        .seat(1, trigger(), Some(Err(some_problem())), start);
    assert_eq!(scene.watcher.stats().sources, ["memory.pressure (read)"]);
    let stalls_after = |seconds| {
        scene
            .watcher
            .count_stalls(start + Duration::from_secs(seconds));
        scene.watcher.stats().stalls_total
    };
    write(7_200_000);
    assert_eq!(stalls_after(1), 0);
    assert_eq!(stalls_after(2), 1);
    assert_eq!(stalls_after(4), 1);
    // The cgroup was left: what its counter says counts no more.
    std::fs::write(dir.path().join("memory.pressure"), "").unwrap();
    assert_eq!(stalls_after(6), 1);
    assert!(scene.watcher.stats().sources.is_empty());
    assert!(scene.watcher.thread.lock().is_none());
}
