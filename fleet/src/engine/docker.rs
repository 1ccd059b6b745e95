//! [`Docker`]: containers of a Docker engine.

mod error;
mod listing;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::models::{ContainerUpdateBody, EventMessage};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, ListContainersOptions, StatsOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::sync::{OnceCell, mpsc};

use crate::engine::actuator::{Actuator, Container, EngineError, LeftOut, Usage, Way};
use crate::engine::docker::error::Asked;
use crate::engine::event::{Event, Happening, now_ns};
use crate::engine::room;
use crate::size::human;

/// Where an engine listens when nobody says otherwise.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// A healthy engine answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);
/// One container that makes the engine wait must not hold up the list.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An engine needs a tenth of a second or two to see that a container has ended; a kill has to be answered within two seconds.
const MOST_TRIES: u32 = 12;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A Docker engine, by its socket.
#[derive(Debug)]
pub struct Docker {
    client: bollard::Docker,
    host: String,
    /// Of the whole host; it does not change.
    memory_bytes: OnceCell<u64>,
    /// Nanoseconds since the epoch; 0: none yet.
    last_event_ns: AtomicU64,
    left_out: Mutex<Vec<LeftOut>>,
}

/// Limits as the engine has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    /// 0: unlimited.
    memory: i64,
    /// -1: unlimited; the engine also writes that where the kernel can't limit swap.
    memory_swap: i64,
    is_running: bool,
}

impl Docker {
    /// The engine at `host` (`unix://PATH`), else at `DOCKER_HOST`, else at its usual socket. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// No socket there, or no address that is understood.
    pub fn connect(host: Option<&str>) -> Result<Docker, EngineError> {
        let from_environment = env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let host = match host {
            Some(host) => host.to_owned(),
            None => from_environment.unwrap_or_else(|| DEFAULT_HOST.to_owned()),
        };
        let client = bollard::Docker::connect_with_host(&host)
            .map_err(|error| Asked::engine(&host).failed(error))?
            .with_timeout(TIMEOUT);
        Ok(Docker {
            client,
            host,
            memory_bytes: OnceCell::new(),
            last_event_ns: AtomicU64::new(0),
            left_out: Mutex::default(),
        })
    }

    /// For what a scaler does not need.
    pub fn client(&self) -> &bollard::Docker {
        &self.client
    }

    /// The address that was connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What an error of [`client`](Docker::client) means.
    pub fn failed(&self, error: bollard::errors::Error) -> EngineError {
        Asked::engine(&self.host).failed(error)
    }

    fn asked<'a>(&'a self, id: &'a str) -> Asked<'a> {
        Asked::container(&self.host, id)
    }

    async fn host_memory_bytes(&self) -> Result<u64, EngineError> {
        let ask = async || {
            let info = self.client.info().await;
            let info = info.map_err(|error| Asked::engine(&self.host).failed(error))?;
            Ok(positive(info.mem_total).unwrap_or(u64::MAX))
        };
        self.memory_bytes.get_or_try_init(ask).await.copied()
    }

    async fn limits(&self, id: &str) -> Result<Limits, EngineError> {
        let inspected = self
            .client
            .inspect_container(id, None::<InspectContainerOptions>)
            .await
            .map_err(|error| self.asked(id).failed(error))?;
        let config = inspected.host_config.unwrap_or_default();
        Ok(Limits {
            memory: config.memory.unwrap_or(0),
            memory_swap: config.memory_swap.unwrap_or(-1),
            is_running: inspected
                .state
                .and_then(|state| state.running)
                .unwrap_or(false),
        })
    }

    /// Both in one request: at no moment is the one above the other.
    async fn update(&self, id: &str, memory: i64, memory_swap: i64) -> Result<(), EngineError> {
        let both = ContainerUpdateBody {
            memory: Some(memory),
            memory_swap: Some(memory_swap),
            ..ContainerUpdateBody::default()
        };
        let updated = self.client.update_container(id, both).await;
        updated.map_err(|error| self.asked(id).failed(error))
    }

    /// As the engine says after the change.
    async fn has(&self, id: &str, to_bytes: u64) -> Result<bool, EngineError> {
        let limits = self.limits(id).await?;
        let swap_is = limits.memory_swap == signed(to_bytes) || limits.memory_swap == -1;
        Ok(limits.memory == signed(to_bytes) && swap_is)
    }

    async fn roll_back(&self, id: &str, before: Limits, why: &str) -> EngineError {
        let undone = self.update(id, before.memory, before.memory_swap).await;
        let end = match undone {
            Ok(()) => "and the old limit is back".to_owned(),
            Err(error) => format!("and the old limit could not be restored ({error})"),
        };
        EngineError::Refused(format!("{id}: {why}, {end}"))
    }
}

impl Actuator for Docker {
    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let running = self
            .client
            .list_containers(None::<ListContainersOptions>)
            .await
            .map_err(|error| Asked::engine(&self.host).failed(error))?;
        let mut containers = Vec::with_capacity(running.len());
        let (mut left_out, mut last_error) = (Vec::new(), None);
        for summary in &running {
            let Some(mut container) = listing::container(summary) else {
                continue;
            };
            let inspected = tokio::time::timeout(INSPECT_TIMEOUT, self.limits(&container.id));
            let timed_out = |_| Err(self.asked(&container.id).timed_out());
            match inspected.await.unwrap_or_else(timed_out) {
                Ok(limits) => {
                    container.limit_bytes = positive(Some(limits.memory));
                    container.swap_limit_bytes = positive(Some(limits.memory_swap));
                    containers.push(container);
                }
                // It ended since.
                Err(EngineError::Gone(_)) => {}
                Err(error) => {
                    let (id, why) = (container.id, error.to_string());
                    left_out.push(LeftOut { id, why });
                    last_error = Some(error);
                }
            }
        }
        // Not one container is sick, but the engine.
        if let Some(error) = last_error
            && containers.is_empty()
        {
            return Err(error);
        }
        *lock(&self.left_out) = left_out;
        Ok(containers)
    }

    fn left_out(&self) -> Vec<LeftOut> {
        lock(&self.left_out).clone()
    }

    async fn host_bytes(&self) -> Result<Option<u64>, EngineError> {
        let host_bytes = self.host_memory_bytes().await?;
        Ok(Some(host_bytes).filter(|bytes| *bytes < u64::MAX))
    }

    /// It takes its readings once a second, and an answer waits for the next one.
    fn slowest_reading(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn usage(&self, id: &str) -> Result<Usage, EngineError> {
        let once = StatsOptionsBuilder::default()
            .stream(false)
            .one_shot(true)
            .build();
        let mut answers = std::pin::pin!(self.client.stats(id, Some(once)));
        let answer = match tokio::time::timeout(TIMEOUT, answers.next()).await {
            Ok(Some(answer)) => answer.map_err(|error| self.asked(id).failed(error))?,
            Ok(None) => return Err(EngineError::Away(format!("{}: no statistics", self.host))),
            Err(_) => return Err(self.asked(id).timed_out()),
        };
        let memory = answer.memory_stats.unwrap_or_default();
        let Some(charge_bytes) = memory.usage else {
            return Err(EngineError::Gone(format!("{id} does not run")));
        };
        let stats = memory.stats.unwrap_or_default();
        // Version 1 counts children in `total_` only.
        let cache_bytes = stats
            .get("total_inactive_file")
            .or(stats.get("inactive_file"))
            .copied()
            .unwrap_or(0);
        let host_bytes = self.host_memory_bytes().await?;
        let used_bytes = charge_bytes.saturating_sub(cache_bytes);
        Ok(Usage {
            used_bytes,
            // The engine tells the host's memory where there is no limit.
            limit_bytes: memory.limit.filter(|limit| *limit < host_bytes),
            oom_kills_total: None,
        })
    }

    async fn resize(&self, id: &str, to_bytes: u64, way: Way) -> Result<(), EngineError> {
        let before = self.limits(id).await?;
        let limit_bytes = positive(Some(before.memory));
        way.check(limit_bytes, to_bytes)?;
        let used_bytes = match way {
            Way::Down { used_bytes } => used_bytes,
            Way::Set | Way::Up => None,
        };
        // The engine takes its readings once a second, and one waits for the next: not where it makes no difference, and not where
        // the caller has one.
        let is_lower = limit_bytes.is_none_or(|limit| to_bytes < limit);
        if is_lower && before.is_running {
            let used_bytes = match used_bytes {
                Some(used_bytes) => Ok(used_bytes),
                None => self.usage(id).await.map(|usage| usage.used_bytes),
            };
            match used_bytes {
                Ok(used_bytes) => room::check(id, used_bytes, limit_bytes, to_bytes)?,
                // Ended a moment ago; it starts again with the new limit.
                Err(EngineError::Gone(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut updated = self.update(id, signed(to_bytes), signed(to_bytes)).await;
        // Nothing speaks against more, but one that was killed is for a moment neither running nor ended, and can't be changed.
        let mut tries = if is_lower { 1 } else { MOST_TRIES };
        while tries > 1 && matches!(updated, Err(EngineError::Refused(_))) {
            tries -= 1;
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
            updated = self.update(id, signed(to_bytes), signed(to_bytes)).await;
        }
        if let Err(gone @ EngineError::Gone(_)) = updated {
            return Err(gone);
        }
        match (updated, self.has(id, to_bytes).await) {
            (Ok(()), Ok(true)) => Ok(()),
            (Ok(()), Ok(false)) => {
                let why = format!("the limit is not {} after the change", human(to_bytes));
                Err(self.roll_back(id, before, &why).await)
            }
            // Refused: the engine restores what it had, and is believed when it says so.
            (Err(refused), Ok(false)) => match self.limits(id).await {
                Ok(after)
                    if (after.memory, after.memory_swap) != (before.memory, before.memory_swap) =>
                {
                    Err(self.roll_back(id, before, &refused.to_string()).await)
                }
                _ => Err(refused),
            },
            // Its answer was lost, its work was not.
            (Err(_), Ok(true)) => Ok(()),
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
        }
    }

    fn listen_from(&self, at_ns: u64) {
        self.last_event_ns.fetch_max(at_ns, Ordering::Relaxed);
    }

    async fn watch(&self, events: &mpsc::Sender<Event>) -> Result<(), EngineError> {
        let filters = [
            ("type".to_owned(), vec!["container".to_owned()]),
            (
                "event".to_owned(),
                ["oom", "die", "start"].map(str::to_owned).to_vec(),
            ),
        ];
        let mut options = EventsOptionsBuilder::default().filters(&filters.into());
        let last_ns = self.last_event_ns.load(Ordering::Relaxed);
        if last_ns > 0 {
            let next_ns = last_ns + 1;
            let (seconds, rest) = (next_ns / 1_000_000_000, next_ns % 1_000_000_000);
            options = options.since(&format!("{seconds}.{rest:09}"));
        }
        let mut stream = std::pin::pin!(self.client.events(Some(options.build())));
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = events.closed() => return Ok(()),
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Asked::engine(&self.host).failed(error)),
                None => {
                    return Err(EngineError::Away(format!(
                        "{}: its events ended",
                        self.host
                    )));
                }
            };
            let told_ns = message
                .time_nano
                .and_then(|at_ns| u64::try_from(at_ns).ok());
            let at_ns = told_ns.unwrap_or_else(now_ns);
            if let Some(event) = event(message, at_ns)
                && events.send(event).await.is_err()
            {
                return Ok(());
            }
            // Only now: what nobody took is told again.
            self.last_event_ns.fetch_max(at_ns, Ordering::Relaxed);
        }
    }
}

fn event(message: EventMessage, at_ns: u64) -> Option<Event> {
    let what = match message.action.as_deref()? {
        "oom" => Happening::OomKill,
        "die" => Happening::Ended,
        "start" => Happening::Started,
        _ => return None,
    };
    let actor = message.actor?;
    let name = actor.attributes.and_then(|mut all| all.remove("name"));
    let id = name.or(actor.id)?;
    Some(Event { id, at_ns, what })
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine writes 0 for "none".
pub(crate) fn positive(number: Option<i64>) -> Option<u64> {
    number
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| *number > 0)
}

/// As the engine's interface has it.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
