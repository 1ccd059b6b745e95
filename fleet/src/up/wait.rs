//! [`Wait`]: which containers are up, as time goes by. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One without a health check is believed after it has run for so long without a restart.
const SETTLE: Duration = Duration::from_secs(3);

/// What the engine says of a container at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    pub status: Status,
    /// `None`: it has no health check.
    pub health: Option<Health>,
    pub restarts_total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Created,
    Running,
    Paused,
    Restarting,
    Exited {
        code: i64,
        /// It will not be started again by its policy.
        is_final: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Created,
    /// Its health check has not said yes yet.
    Starting,
    /// Without a health check, not believed yet.
    Running,
    /// Without a health check, and up for long enough.
    Settled,
    Healthy,
    Unhealthy,
    Paused,
    Restarting {
        times: u64,
    },
    Exited {
        code: i64,
        is_final: bool,
    },
    /// The engine knows it no longer.
    Gone,
}

impl State {
    fn is_up(self) -> bool {
        matches!(self, State::Healthy | State::Settled)
    }

    /// Nothing comes of waiting.
    fn is_lost(self) -> bool {
        matches!(self, State::Gone | State::Exited { is_final: true, .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Created => f.write_str("created"),
            State::Starting => f.write_str("starting"),
            State::Running => f.write_str("running"),
            State::Settled => f.write_str("up (it has no health check)"),
            State::Healthy => f.write_str("healthy"),
            State::Unhealthy => f.write_str("unhealthy"),
            State::Paused => f.write_str("paused"),
            State::Restarting { times: 1 } => f.write_str("restarted once"),
            State::Restarting { times } => write!(f, "restarted {times} times"),
            State::Exited { code, .. } => write!(f, "ended with {code}"),
            State::Gone => f.write_str("gone"),
        }
    }
}

/// The containers that are waited for.
#[derive(Debug)]
pub struct Wait {
    bound: Duration,
    containers: BTreeMap<String, One>,
}

#[derive(Debug)]
struct One {
    state: State,
    /// When it was seen running for the first time since its last restart.
    running_since: Option<Duration>,
    restarts_total: u64,
}

/// How the wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub up: Vec<String>,
    /// And why not.
    pub down: Vec<(String, State)>,
}

impl Wait {
    /// For `bound` at most.
    pub fn new(bound: Duration) -> Wait {
        Wait {
            bound,
            containers: BTreeMap::new(),
        }
    }

    /// Takes in what is seen `at`, the time since the start; one line for each container that changed.
    pub fn observe(&mut self, at: Duration, seen: &[Seen]) -> Vec<String> {
        let mut changes = Vec::new();
        for one in seen {
            let before = self.containers.get(&one.name);
            let now = step(before, one, at);
            if before.is_none_or(|before| before.state != now.state) {
                changes.push(format!("{}: {}", one.name, now.state));
            }
            self.containers.insert(one.name.clone(), now);
        }
        for (name, one) in &mut self.containers {
            let is_seen = seen.iter().any(|seen| seen.name == *name);
            if !is_seen && one.state != State::Gone {
                one.state = State::Gone;
                changes.push(format!("{name}: {}", one.state));
            }
        }
        changes
    }

    /// Whether there is nothing left to wait for.
    pub fn end(&self, at: Duration) -> Option<End> {
        let mut states = self.containers.values().map(|one| one.state);
        let is_over = at >= self.bound || states.all(|state| state.is_up() || state.is_lost());
        is_over.then(|| {
            let (up, down): (Vec<_>, Vec<_>) = self
                .containers
                .iter()
                .map(|(name, one)| (name.clone(), one.state))
                .partition(|(_, state)| state.is_up());
            End {
                up: up.into_iter().map(|(name, _)| name).collect(),
                down,
            }
        })
    }
}

fn step(before: Option<&One>, seen: &Seen, at: Duration) -> One {
    let restarts_before = before.map_or(seen.restarts_total, |before| before.restarts_total);
    let has_restarted = seen.restarts_total > restarts_before;
    let running_since = match seen.status {
        Status::Running if has_restarted => Some(at),
        Status::Running => before.and_then(|before| before.running_since).or(Some(at)),
        _ => None,
    };
    let has_settled = running_since.is_some_and(|since| at.saturating_sub(since) >= SETTLE);
    let state = match (seen.status, seen.health) {
        (Status::Created, _) => State::Created,
        (Status::Paused, _) => State::Paused,
        (Status::Exited { code, is_final }, _) => State::Exited { code, is_final },
        (Status::Restarting, _) => State::Restarting {
            times: seen.restarts_total,
        },
        (Status::Running, Some(Health::Healthy)) => State::Healthy,
        (Status::Running, Some(Health::Unhealthy)) => State::Unhealthy,
        // Between two ends it runs for a moment: still the same loop.
        (Status::Running, _) if seen.restarts_total > 0 && !has_settled => State::Restarting {
            times: seen.restarts_total,
        },
        (Status::Running, Some(Health::Starting)) => State::Starting,
        (Status::Running, None) if has_settled => State::Settled,
        (Status::Running, None) => State::Running,
    };
    One {
        state,
        running_since,
        restarts_total: seen.restarts_total,
    }
}

#[cfg(test)]
mod tests;
