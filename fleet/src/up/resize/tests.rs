//! Resizing with an engine that is made up.

use std::future::{Future, ready};
use std::sync::Mutex;

use tokio::sync::mpsc;

use super::*;
use crate::engine::{Event, Usage};

const MIB: u64 = 1 << 20;

/// An engine of a few containers.
struct Fake {
    running: Mutex<Vec<Container>>,
    used_bytes: u64,
    /// What `resize` does instead.
    fails: Option<fn() -> EngineError>,
    /// After so many that it did.
    fails_after: usize,
    /// Says yes and changes nothing.
    lies: bool,
    updates: Mutex<Vec<String>>,
}

fn container(id: &str, service: &str) -> Container {
    Container {
        id: id.to_owned(),
        service: service.to_owned(),
        metrics_url: None,
        limit_bytes: Some(512 * MIB),
        swap_limit_bytes: Some(1024 * MIB),
    }
}

impl Fake {
    fn new(used_mib: u64) -> Fake {
        let running = [
            ("crypto-fusion", "fusion"),
            ("p_news_1", "news"),
            ("p_news_2", "news"),
        ];
        Fake {
            running: Mutex::new(running.map(|(id, service)| container(id, service)).into()),
            used_bytes: used_mib * MIB,
            fails: None,
            fails_after: 0,
            lies: false,
            updates: Mutex::new(Vec::new()),
        }
    }

    fn updates(&self) -> Vec<String> {
        self.updates.lock().unwrap().clone()
    }
}

impl Actuator for Fake {
    fn containers(&self) -> impl Future<Output = Result<Vec<Container>, EngineError>> + Send {
        ready(Ok(self.running.lock().unwrap().clone()))
    }

    fn usage(&self, _id: &str) -> impl Future<Output = Result<Usage, EngineError>> + Send {
        ready(Ok(Usage {
            used_bytes: self.used_bytes,
            limit_bytes: None,
            oom_kills_total: None,
        }))
    }

    fn resize(
        &self,
        id: &str,
        to_bytes: u64,
        _: Way,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        let mut updates = self.updates.lock().unwrap();
        updates.push(id.to_owned());
        if let Some(fails) = self.fails.filter(|_| updates.len() > self.fails_after) {
            return ready(Err(fails()));
        }
        if !self.lies {
            let mut running = self.running.lock().unwrap();
            let one = running.iter_mut().find(|one| one.id == id).unwrap();
            (one.limit_bytes, one.swap_limit_bytes) = (Some(to_bytes), Some(to_bytes));
        }
        ready(Ok(()))
    }

    fn watch(
        &self,
        _events: &mpsc::Sender<Event>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        ready(Ok(()))
    }
}

fn run(engine: &Fake, name: &str, to_mib: u64) -> Result<Vec<Resized>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(resize(engine, name, to_mib * MIB))
}

#[test]
fn a_service_is_found_by_its_name_its_container_and_its_replicas() {
    let table = [
        ("fusion", vec!["crypto-fusion"]),
        ("crypto-fusion", vec!["crypto-fusion"]),
        ("p_news_2", vec!["p_news_2"]),
        ("news", vec!["p_news_1", "p_news_2"]),
    ];
    for (name, ids) in table {
        let engine = Fake::new(100);
        let resized = run(&engine, name, 1024).unwrap();
        assert_eq!(engine.updates(), ids, "{name}");
        for one in resized {
            assert_eq!(
                (one.from_bytes, one.to_bytes),
                (Some(512 * MIB), 1024 * MIB)
            );
        }
    }
}

#[test]
fn old_and_new_are_shown() {
    let resized = run(&Fake::new(100), "fusion", 1536).unwrap();
    assert_eq!(
        resized[0].to_string(),
        "crypto-fusion: memory 512 MiB -> 1.5 GiB, memory and swap 1 GiB -> 1.5 GiB; 100 MiB used"
    );
}

#[test]
fn an_unknown_one_gets_the_list_of_known_ones() {
    for name in ["redis", "", "fusio"] {
        let engine = Fake::new(100);
        let failure = run(&engine, name, 1024).unwrap_err();
        assert_eq!(failure.code, Failure::NO_HOST);
        assert!(
            failure.message.ends_with("these run: fusion, news"),
            "{failure}"
        );
        assert_eq!(engine.updates(), [""; 0]);
    }
    let engine = Fake::new(100);
    engine.running.lock().unwrap().clear();
    assert!(
        run(&engine, "a", 9)
            .unwrap_err()
            .message
            .ends_with("nothing runs")
    );
}

#[test]
fn below_usage_nothing_is_asked_of_the_engine() {
    // One sixteenth more than is used is the least, and one that is full already may have any more.
    let table = [(160, 169, false), (160, 170, true), (512, 513, true)];
    for (used_mib, to_mib, is_fine) in table {
        let engine = Fake::new(used_mib);
        let resized = run(&engine, "news", to_mib);
        assert_eq!(resized.is_ok(), is_fine, "{to_mib}");
        assert_eq!(engine.updates().is_empty(), !is_fine);
        if let Err(failure) = resized {
            assert_eq!(failure.code, Failure::REFUSED);
            assert!(failure.message.contains("uses 160 MiB"), "{failure}");
        }
    }
}

#[test]
fn what_the_engine_says_is_passed_on_and_its_yes_is_verified() {
    type Fails = fn() -> EngineError;
    let table: [(Option<Fails>, u8); 5] = [
        (
            Some(|| EngineError::Refused("busy".into())),
            Failure::REFUSED,
        ),
        (
            Some(|| EngineError::Gone("fusion".into())),
            Failure::NO_HOST,
        ),
        (
            Some(|| EngineError::Away("socket".into())),
            Failure::UNAVAILABLE,
        ),
        (
            Some(|| EngineError::NoPermission("no".into())),
            Failure::NO_PERMISSION,
        ),
        (None, Failure::REFUSED),
    ];
    for (fails, code) in table {
        let mut engine = Fake::new(100);
        (engine.fails, engine.lies) = (fails, fails.is_none());
        let failure = run(&engine, "fusion", 1024).unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
    }
}

#[test]
fn what_was_changed_before_a_failure_is_said() {
    let mut engine = Fake::new(100);
    engine.fails = Some(|| EngineError::Refused("busy".into()));
    engine.fails_after = 1;
    let failure = run(&engine, "news", 1024).unwrap_err();
    assert_eq!(failure.code, Failure::REFUSED);
    assert_eq!(
        failure.message,
        "the engine refused: busy; changed before that: p_news_1: memory 512 MiB -> 1 GiB, memory and swap 1 GiB -> 1 GiB; 100 MiB used"
    );
    let mut engine = Fake::new(100);
    engine.fails = Some(|| EngineError::Refused("busy".into()));
    let failure = run(&engine, "news", 1024).unwrap_err();
    assert_eq!(failure.message, "the engine refused: busy");
}
