//! An engine that does as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::engine::{
    Actuator, Container, EngineError, Event, Happening, LeftOut, Usage, Way, now_ns,
};
use crate::failure::Failure;
use crate::profile::{Profile, Source, read};
use crate::scale::run::tests::INTERVAL;
use crate::scale::voice::tests::Heard;
use crate::scale::{Settings, Voice, run};

pub const MIB: u64 = 1 << 20;

/// Shared by the engine and the test.
#[derive(Clone, Debug)]
pub struct World {
    facts: Arc<Mutex<Facts>>,
    ring: mpsc::Sender<Event>,
    rung: Arc<Turn<mpsc::Receiver<Event>>>,
    is_away: watch::Sender<bool>,
}

#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By service: used and limit.
    pub services: BTreeMap<String, (u64, u64)>,
    pub resizes: Vec<(String, u64, Instant)>,
    /// What the scaler said that is used.
    pub told_bytes: Vec<Option<u64>>,
    pub metrics_url: Option<String>,
    pub lists: usize,
    pub begun: usize,
    pub refuses: bool,
    /// Services that the list leaves out.
    pub sick: Vec<String>,
    pub usage_fails: bool,
    /// Services that wait for their restart: they are listed, and have no figures.
    pub restarting: Vec<String>,
    /// Services that have no limit, whatever it says above.
    pub unlimited: Vec<String>,
    /// Limits in force, where the engine's list has others.
    pub in_kernel: BTreeMap<String, u64>,
    /// Services of which a reading is a mistake of this program.
    pub panicking: Vec<String>,
    pub list_panics: bool,
    pub usage_takes: Duration,
    pub list_fails: bool,
    pub listened_from_ns: u64,
    pub gone_on_resize: Vec<String>,
    pub resize_takes: Duration,
    pub cant_watch: bool,
    pub host_bytes: Option<u64>,
    /// All are gone when a usage is asked for that often.
    pub gone_from_usage: Option<usize>,
    pub usages: usize,
    /// All limits together, at their highest.
    pub most_bytes: u64,
}

impl Facts {
    fn limit(&self, service: &str) -> Option<u64> {
        let limit = self.services[service].1;
        (!self.unlimited.iter().any(|one| one == service)).then_some(limit)
    }
}

impl World {
    /// Services with what they use and may use, in MiB.
    pub fn new(services: &[(&str, u64, u64)]) -> World {
        let (ring, rung) = mpsc::channel(64);
        let world = World {
            facts: Arc::default(),
            ring,
            rung: Arc::new(Turn::new(rung)),
            is_away: watch::Sender::new(false),
        };
        for (service, used_mib, limit_mib) in services {
            world.starts(service, *used_mib, *limit_mib);
        }
        world
    }

    pub fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap()
    }

    pub fn starts(&self, service: &str, used_mib: u64, limit_mib: u64) {
        let bytes = (used_mib * MIB, limit_mib * MIB);
        self.lock().services.insert(service.to_owned(), bytes);
    }

    pub fn uses(&self, service: &str, used_mib: u64) {
        self.lock().services.get_mut(service).unwrap().0 = used_mib * MIB;
    }

    /// As an operator does, with `plimsoll resize`.
    pub fn is_given(&self, service: &str, limit_mib: u64) {
        self.lock().services.get_mut(service).unwrap().1 = limit_mib * MIB;
    }

    pub fn limit(&self, service: &str) -> u64 {
        self.lock().services[service].1
    }

    pub fn resizes(&self) -> Vec<(&'static str, u64)> {
        let known = ["crypto-a", "crypto-b", "crypto-c"];
        let facts = self.lock();
        let each = facts.resizes.iter().map(|(id, to_bytes, _)| {
            let id = known.into_iter().find(|known| known == id).unwrap();
            (id, to_bytes / MIB)
        });
        each.collect()
    }

    pub fn when(&self) -> Vec<Instant> {
        self.lock().resizes.iter().map(|(.., when)| *when).collect()
    }

    pub fn lists(&self) -> usize {
        self.lock().lists
    }

    pub async fn kill(&self, service: &str) {
        self.tell(service, Happening::OomKill, now_ns()).await;
    }

    pub async fn tell(&self, service: &str, what: Happening, at_ns: u64) {
        let event = Event {
            id: format!("crypto-{service}"),
            at_ns,
            what,
        };
        self.ring.send(event).await.unwrap();
    }

    pub fn goes_away(&self) {
        self.is_away.send_replace(true);
    }

    pub fn returns(&self) {
        self.is_away.send_replace(false);
    }

    fn answers(&self) -> Result<(), EngineError> {
        if *self.is_away.borrow() {
            return Err(EngineError::Away("gone fishing".to_owned()));
        }
        Ok(())
    }
}

impl Actuator for World {
    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        self.lock().lists += 1;
        self.answers()?;
        let facts = self.lock().clone();
        assert!(!facts.list_panics, "a list that panics");
        if facts.list_fails {
            return Err(EngineError::Away("no list".to_owned()));
        }
        let each = facts
            .services
            .iter()
            .filter(|(service, _)| !facts.sick.contains(service))
            .map(|(service, _)| Container {
                id: format!("crypto-{service}"),
                service: service.clone(),
                metrics_url: facts.metrics_url.clone(),
                limit_bytes: facts.limit(service),
                swap_limit_bytes: facts.limit(service),
            });
        Ok(each.collect())
    }

    fn left_out(&self) -> Vec<LeftOut> {
        let facts = self.lock();
        let each = facts.sick.iter().map(|service| LeftOut {
            id: format!("crypto-{service}"),
            why: "no pulse".to_owned(),
        });
        each.collect()
    }

    fn listen_from(&self, at_ns: u64) {
        self.lock().listened_from_ns = at_ns;
    }

    async fn host_bytes(&self) -> Result<Option<u64>, EngineError> {
        Ok(self.lock().host_bytes)
    }

    async fn usage(&self, id: &str) -> Result<Usage, EngineError> {
        self.answers()?;
        self.lock().usages += 1;
        let takes = self.lock().usage_takes;
        tokio::time::sleep(takes).await;
        let facts = self.lock().clone();
        if facts.usage_fails {
            return Err(EngineError::Refused("no figures".to_owned()));
        }
        let service = id.strip_prefix("crypto-").unwrap().to_owned();
        assert!(!facts.panicking.contains(&service), "a usage that panics");
        let is_gone = facts.gone_from_usage.is_some_and(|nth| facts.usages >= nth);
        if is_gone || facts.restarting.contains(&service) {
            return Err(EngineError::Gone(format!("{id} does not run")));
        }
        Ok(Usage {
            used_bytes: facts.services[&service].0,
            limit_bytes: facts
                .in_kernel
                .get(&service)
                .copied()
                .or(facts.limit(&service)),
            oom_kills_total: None,
        })
    }

    async fn resize(&self, id: &str, to_bytes: u64, way: Way) -> Result<(), EngineError> {
        self.answers()?;
        if let Way::Down { used_bytes } = way {
            self.lock().told_bytes.push(used_bytes);
        }
        let service = id.strip_prefix("crypto-").unwrap();
        let limit = self.lock().limit(service);
        way.check(limit, to_bytes)?;
        let takes = self.lock().resize_takes;
        self.lock().begun += 1;
        tokio::time::sleep(takes).await;
        let mut facts = self.lock();
        if facts.gone_on_resize.iter().any(|gone| gone == id) {
            return Err(EngineError::Gone(id.to_owned()));
        }
        if facts.refuses {
            return Err(EngineError::Refused("not today".to_owned()));
        }
        facts.in_kernel.remove(service);
        facts.services.get_mut(service).unwrap().1 = to_bytes;
        let all_bytes = facts.services.values().map(|(_, limit)| limit).sum();
        facts.most_bytes = facts.most_bytes.max(all_bytes);
        let done = (id.to_owned(), to_bytes, Instant::now());
        facts.resizes.push(done);
        Ok(())
    }

    async fn watch(&self, events: &mpsc::Sender<Event>) -> Result<(), EngineError> {
        self.answers()?;
        if self.lock().cant_watch {
            return Err(EngineError::NoPermission("no events".to_owned()));
        }
        let mut is_away = self.is_away.subscribe();
        let mut rung = self.rung.lock().await;
        loop {
            tokio::select! {
                Some(event) = rung.recv() => {
                    if events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
                _ = is_away.changed() => self.answers()?,
                () = events.closed() => return Ok(()),
            }
        }
    }
}

/// A scaler at work.
pub struct Stage {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Failure>>,
    decisions: Heard,
    notes: Heard,
}

/// What came of it.
pub struct Ended {
    pub result: Result<(), Failure>,
    pub decisions: Vec<String>,
    pub notes: Vec<String>,
}

impl Stage {
    pub fn new(world: &World, budget_mib: u64) -> Stage {
        Stage::with(world, budget_mib, |_| {})
    }

    pub fn with(world: &World, budget_mib: u64, set: impl FnOnce(&mut Settings)) -> Stage {
        let mut settings = Settings {
            interval: INTERVAL,
            dry_run: false,
            once: false,
            state: None,
            metrics: None,
            token: Some("sixteen-letters!".to_owned()),
            is_local: false,
        };
        set(&mut settings);
        let (decisions, notes) = (Heard::default(), Heard::default());
        let voice = Voice::new(decisions.clone(), notes.clone());
        let (stop, stopped) = oneshot::channel();
        let (engine, profile) = (world.clone(), profile(budget_mib));
        let running = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            run(engine, &profile, settings, voice, stop).await
        });
        Stage {
            stop,
            running,
            decisions,
            notes,
        }
    }

    /// As a signal does.
    pub async fn stop(self) -> Ended {
        let Stage {
            stop,
            running,
            decisions,
            notes,
        } = self;
        let _ = stop.send(());
        Ended {
            result: running.await.unwrap(),
            decisions: decisions.lines(),
            notes: notes.lines(),
        }
    }

    /// By itself.
    pub async fn end(self) -> Ended {
        let (_stop, result) = (self.stop, self.running.await.unwrap());
        Ended {
            result,
            decisions: self.decisions.lines(),
            notes: self.notes.lines(),
        }
    }
}

/// The guide's strategy for a, b and c, with a cooldown of 100 seconds.
fn profile(budget_mib: u64) -> Profile {
    let mut text = "host = \"4GB\"\nkeep = \"1GB\"\n".to_owned();
    for service in ["a", "b", "c"] {
        text += &format!(
            "[services.{service}]\nimage = \"x\"\nlimit = \"100MB\"\nreservation = \"50MB\"\ncpu = 0.5\n\
             [policies.{service}]\nstrategy = \"guide\"\nmin = \"40MB\"\nmax = \"800MB\"\ncooldown = 100\n"
        );
    }
    let source = Source {
        name: "test".to_owned(),
        origin: "test.toml".to_owned(),
        text,
    };
    let reading = read(&source);
    let mut profile = reading.profile.expect("a profile without errors");
    profile.budget_bytes = budget_mib * MIB;
    profile
}
