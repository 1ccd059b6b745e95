//! [`Scaler`]: takes readings and events, and does what is decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::decide::{History, Observation, Verdict, decide};
use crate::engine::{Actuator, Container, EngineError, Event, Happening, Usage};
use crate::profile::{Policy, Profile};
use crate::scale::clock::Clock;
use crate::scale::figures::Figures;
use crate::scale::gather::Seen;
use crate::scale::scrape::Scraper;
use crate::scale::settings::Settings;
use crate::scale::state::{Change, State};
use crate::scale::tracked::{Tracked, update};
use crate::scale::voice::Voice;
use crate::size::human;

/// Within this time one kill may be told several times.
const SAME_KILL: Duration = Duration::from_secs(1);
const ENGINE: &str = "engine";

/// What comes back from what was begun beside the loop.
#[derive(Debug)]
pub(super) enum Message {
    /// A reading of everything, and when it began.
    Gathered(Instant, Result<Vec<Seen>, EngineError>),
    Happened(Event),
    EventsEnded(EngineError),
    /// A service was asked to clean up, if it can be, and this is used since.
    Cleaned {
        id: String,
        asked: Result<(), String>,
        usage: Result<Usage, EngineError>,
    },
    /// A lower limit has been in force for a moment.
    Settled {
        id: String,
        usage: Result<Usage, EngineError>,
    },
}

/// All state of the loop.
#[derive(Debug)]
pub(super) struct Scaler<A> {
    pub(super) engine: Arc<A>,
    pub(super) scraper: Scraper,
    pub(super) settings: Settings,
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) voice: Voice,
    pub(super) figures: Figures,
    pub(super) tracked: BTreeMap<String, Tracked>,
    pub(super) clock: Clock,
    pub(super) histories: BTreeMap<String, History>,
    pub(super) changes: BTreeMap<String, Change>,
    policies: BTreeMap<String, Option<Policy>>,
    /// What the profile's services may have together: its budget, less what others on the host have.
    pub(super) budget_bytes: u64,
    profile_budget_bytes: u64,
    /// Something waits for room since the last round.
    pub(super) is_short: bool,
    /// Something has shrunk since the last round.
    pub(super) has_shrunk: bool,
}

impl<A: Actuator + 'static> Scaler<A> {
    pub(super) fn new(
        engine: Arc<A>,
        profile: &Profile,
        settings: Settings,
        state: State,
        voice: Voice,
        messages: mpsc::Sender<Message>,
    ) -> Scaler<A> {
        let services = profile.services.iter();
        Scaler {
            engine,
            scraper: Scraper::new(),
            settings,
            messages,
            voice,
            figures: Figures::default(),
            tracked: BTreeMap::new(),
            clock: Clock::start(state.saved_at_s),
            histories: state.services,
            changes: state.changes,
            policies: services
                .map(|service| (service.name.clone(), service.policy.clone()))
                .collect(),
            budget_bytes: profile.budget_bytes,
            profile_budget_bytes: profile.budget_bytes,
            is_short: false,
            has_shrunk: false,
        }
    }

    /// There is room now, and who waits for it need not wait for the next round's time.
    pub(super) fn is_due(&self) -> bool {
        self.is_short && self.has_shrunk && self.is_quiet()
    }

    /// Nothing is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        self.tracked.values().all(|one| one.shrinking.is_none())
    }

    pub(super) fn state(&self) -> State {
        let mut state = State::new();
        state.saved_at_s = self.clock.now_s();
        state.services.clone_from(&self.histories);
        state.changes.clone_from(&self.changes);
        state
    }

    pub(super) fn engine_is_away(&mut self, error: &EngineError) {
        self.figures.all().engine_is_up = false;
        self.voice
            .note_once(ENGINE, &format!("{error}; trying again"));
    }

    /// A reading of everything, and when it began.
    pub(super) async fn round(&mut self, began: Instant, seen: Vec<Seen>) {
        self.voice.over(ENGINE, "the engine is back");
        (self.is_short, self.has_shrunk) = (false, false);
        self.know(began, &seen);
        let mut verdicts = Vec::new();
        for one in seen {
            let Seen {
                container,
                usage,
                told,
            } = one;
            let about = format!("usage {}", container.id);
            let usage = match usage {
                None => continue,
                Some(Ok(usage)) => {
                    let text = format!("{}: its usage is known again", container.id);
                    self.voice.over(&about, &text);
                    usage
                }
                // It ended since the list.
                Some(Err(EngineError::Gone(_))) => {
                    self.tracked.remove(&container.id);
                    continue;
                }
                Some(Err(error)) => {
                    let text = format!("{}: its usage is unknown: {error}", container.id);
                    self.voice.note_once(&about, &text);
                    continue;
                }
            };
            let is_stale = |one: &Tracked| !one.is_as_it_was(began);
            if self.tracked.get(&container.id).is_some_and(is_stale) {
                continue;
            }
            let observed = self.observe(&container, usage, told);
            verdicts.extend(observed.map(|verdict| (container.id, verdict)));
        }
        {
            let mut all = self.figures.all();
            all.rounds_total += 1;
            all.engine_is_up = true;
            all.budget_bytes = self.budget_bytes;
        }
        self.carry_out(verdicts).await;
    }

    /// Who runs, who else is on the host, and what is left for ours.
    fn know(&mut self, began: Instant, seen: &[Seen]) {
        let containers: Vec<_> = seen.iter().map(|one| one.container.clone()).collect();
        update(&mut self.tracked, &containers, &self.policies, began);
        let others = containers
            .iter()
            .filter(|container| !self.policies.contains_key(&container.service));
        let others_bytes: u64 = others
            .filter_map(|container| container.limit_bytes)
            .fold(0, u64::saturating_add);
        self.budget_bytes = self.profile_budget_bytes.saturating_sub(others_bytes);
        if others_bytes > 0 {
            let text = format!(
                "other containers on the host have limits of {}: {} of the budget are left for the profile's",
                human(others_bytes),
                human(self.budget_bytes)
            );
            self.voice
                .note_once(&format!("others {others_bytes}"), &text);
        }
        // What does not run uses nothing.
        let running: Vec<&str> = self.tracked.values().map(|one| one.key.as_str()).collect();
        for (service, of) in &mut self.figures.all().services {
            if !running.contains(&service.as_str()) {
                of.limit_bytes = None;
                of.used_bytes = None;
                of.floor_bytes = None;
                of.pressure_level = None;
                of.alert = None;
            }
        }
    }

    /// Into the history, and what follows from it; nothing for what can't be scaled.
    fn observe(
        &mut self,
        container: &Container,
        usage: Usage,
        told: Option<Result<crate::scale::exposition::Told, String>>,
    ) -> Option<Verdict> {
        let one = self.tracked.get_mut(&container.id)?;
        let key = one.key.clone();
        let about = format!("metrics {key}");
        let mut told = told.and_then(|told| match told {
            Ok(told) => {
                self.voice
                    .over(&about, &format!("{key}: its metrics are back"));
                Some(told)
            }
            Err(why) => {
                self.voice.note_once(
                    &about,
                    &format!("{key}: what it could free is unknown: {why}"),
                );
                self.figures.of(&key, |of| of.scrape_failures_total += 1);
                None
            }
        });
        let claims_more = told
            .and_then(|told| told.reclaimable_bytes)
            .filter(|claimed| *claimed > usage.used_bytes);
        if let Some(claimed) = claims_more {
            let text = format!(
                "{key}: claims that it could free {} and uses {}: not believed",
                human(claimed),
                human(usage.used_bytes)
            );
            self.voice.note_once(&about, &text);
            self.figures.of(&key, |of| of.scrape_failures_total += 1);
            told = None;
        }
        let limit_bytes = usage.limit_bytes.or(container.limit_bytes);
        one.limit_bytes = limit_bytes;
        let reclaimable_bytes = told.and_then(|told| told.reclaimable_bytes);
        self.figures.of(&key, |of| {
            of.limit_bytes = limit_bytes;
            of.used_bytes = Some(usage.used_bytes);
            of.floor_bytes = reclaimable_bytes.map(|bytes| usage.used_bytes - bytes);
            of.pressure_level = told.and_then(|told| told.pressure_level);
        });
        let policy = one.policy.as_ref()?;
        let Some(limit_bytes) = limit_bytes else {
            let text = format!(
                "{key}: has no limit, so there is nothing to scale; give it one with `plimsoll resize`"
            );
            self.voice.note_once(&format!("limit {key}"), &text);
            return None;
        };
        let now_s = self.clock.now_s();
        let history = self.histories.entry(key).or_default();
        let seen = Observation {
            at_s: now_s,
            used_bytes: usage.used_bytes,
            reclaimable_bytes,
            limit_bytes,
        };
        if let Some(ratio) = told.and_then(|told| told.high_ratio) {
            history.refuses_above(ratio);
        }
        history.observe(&seen, policy);
        // What is on its way down is not decided anew.
        one.shrinking
            .is_none()
            .then(|| decide(history, policy, now_s))
    }

    pub(super) async fn happened(&mut self, event: Event) {
        let id = event.id;
        if event.what != Happening::OomKill {
            // The next round sees what runs; what ended may start again.
            return;
        }
        let now = Instant::now();
        if !self.tracked.contains_key(&id)
            && let Ok(containers) = self.engine.containers().await
        {
            // It came since the last round.
            update(&mut self.tracked, &containers, &self.policies, now);
        }
        let Some(one) = self.tracked.get_mut(&id) else {
            return;
        };
        let is_same = one
            .killed
            .is_some_and(|before| now.duration_since(before) < SAME_KILL);
        if is_same {
            return;
        }
        one.killed = Some(now);
        // Whatever was planned, it needs more.
        one.shrinking = None;
        let key = one.key.clone();
        self.figures.of(&key, |of| of.oom_kills_total += 1);
        let (policy, limit_bytes) = (one.policy.clone(), one.limit_bytes);
        let at = limit_bytes.map_or_else(|| "no limit".to_owned(), human);
        self.voice
            .note(&format!("{key}: the kernel killed it for memory at {at}"));
        let (Some(policy), Some(limit_bytes)) = (policy, limit_bytes) else {
            return;
        };
        let now_s = self.clock.now_s();
        let is_new = !self.histories.contains_key(&key);
        let history = self.histories.entry(key).or_default();
        if is_new {
            // No round has seen it yet; this much is certain.
            let full = Observation {
                at_s: now_s,
                used_bytes: limit_bytes,
                reclaimable_bytes: None,
                limit_bytes,
            };
            history.observe(&full, &policy);
        }
        history.killed(now_s, limit_bytes);
        let verdict = decide(history, &policy, now_s);
        self.carry_out(vec![(id, verdict)]).await;
    }
}
