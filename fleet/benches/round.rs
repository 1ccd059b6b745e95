//! What a whole round of the scaler costs, from the list to the file of the state: `cargo bench -p plimsoll-fleet --bench round`.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use plimsoll_fleet::engine::{Actuator, Container, EngineError, Event, Usage, Way};
use plimsoll_fleet::profile::{Profile, Source, read};
use plimsoll_fleet::scale::{Settings, Voice, run};
use tokio::sync::mpsc;

const SIZES: [usize; 2] = [1_000, 10_000];
const TIMES: usize = 5;
const MIB: u64 = 1 << 20;

/// Answers at once. One in ten needs more.
#[derive(Debug)]
struct Fake(Mutex<BTreeMap<String, u64>>);

impl Actuator for Fake {
    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let limits = self.0.lock().unwrap();
        let each = limits.iter().map(|(id, limit_bytes)| Container {
            id: id.clone(),
            service: id.clone(),
            metrics_url: None,
            limit_bytes: Some(*limit_bytes),
            swap_limit_bytes: None,
        });
        Ok(each.collect())
    }

    async fn usage(&self, id: &str) -> Result<Usage, EngineError> {
        let limit_bytes = self.0.lock().unwrap()[id];
        let percent = if id.ends_with('0') { 90 } else { 50 };
        Ok(Usage {
            used_bytes: limit_bytes / 100 * percent,
            limit_bytes: Some(limit_bytes),
            oom_kills_total: None,
        })
    }

    async fn resize(&self, id: &str, to_bytes: u64, _way: Way) -> Result<(), EngineError> {
        self.0.lock().unwrap().insert(id.to_owned(), to_bytes);
        Ok(())
    }

    async fn watch(&self, events: &mpsc::Sender<Event>) -> Result<(), EngineError> {
        events.closed().await;
        Ok(())
    }
}

fn main() {
    let mut before_ms = None;
    for services in SIZES {
        let took_ms = round_ms(services);
        println!("{services} services: a round in {took_ms:.1} ms");
        if let Some(before_ms) = before_ms.replace(took_ms) {
            println!(
                "ten times the services cost {:.1} times as much",
                took_ms / before_ms
            );
        }
    }
}

/// The best of some, so that who else is on the machine does not count.
fn round_ms(services: usize) -> f64 {
    let profile = profile(services);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut best_ms = f64::INFINITY;
    for time in 0..TIMES {
        let limits = profile.services.iter();
        let limits = limits.map(|service| (service.name.clone(), 100 * MIB));
        let engine = Fake(Mutex::new(limits.collect()));
        let settings = Settings {
            interval: Duration::from_secs(30),
            dry_run: false,
            once: true,
            state: Some(folder.path().join(format!("{time}.json"))),
            metrics: None,
            token: None,
            is_local: false,
        };
        let voice = Voice::new(io::sink(), io::sink());
        let began = Instant::now();
        let never = std::future::pending();
        runtime
            .block_on(run(engine, &profile, settings, voice, never))
            .unwrap();
        best_ms = best_ms.min(began.elapsed().as_secs_f64() * 1000.0);
    }
    best_ms
}

fn profile(services: usize) -> Profile {
    let mut text = "host = \"4000GB\"\nkeep = \"1GB\"\n".to_owned();
    for number in 0..services {
        text += &format!(
            "[services.s{number}]\nimage = \"x\"\nlimit = \"100MB\"\nreservation = \"50MB\"\ncpu = 0.5\n\
             [policies.s{number}]\nstrategy = \"guide\"\nmin = \"40MB\"\nmax = \"800MB\"\ncooldown = 100\n"
        );
    }
    let source = Source {
        name: "many".to_owned(),
        origin: "many.toml".to_owned(),
        text,
    };
    let mut profile = read(&source).profile.expect("a profile without errors");
    profile.budget_bytes = u64::MAX;
    profile
}
