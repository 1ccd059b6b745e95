//! [`Scaler`]: takes readings and events, and does what is decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::decide::{Action, Alert, History, Observation, Verdict, Wanted, decide, share};
use crate::engine::{Actuator, Container, EngineError, Event, Happening, Usage};
use crate::profile::{Policy, Profile};
use crate::scale::clock::Clock;
use crate::scale::figures::Figures;
use crate::scale::gather::Seen;
use crate::scale::scrape::Scraper;
use crate::scale::settings::Settings;
use crate::scale::state::{Change, State};
use crate::scale::tracked::{Tracked, update};
use crate::scale::voice::{Decision, Voice};
use crate::size::human;

/// Within this time one kill may be told several times.
const SAME_KILL: Duration = Duration::from_secs(1);
const ENGINE: &str = "engine";
const DRY_RUN: &str = "dry run: not done";

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
    clock: Clock,
    histories: BTreeMap<String, History>,
    changes: BTreeMap<String, Change>,
    policies: BTreeMap<String, Option<Policy>>,
    /// What the profile's services may have together: its budget, less what others on the host have.
    budget_bytes: u64,
    profile_budget_bytes: u64,
    /// Something waits for room since the last round.
    is_short: bool,
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
        let history = self.histories.entry(key).or_default();
        history.killed(now_s, limit_bytes);
        let verdict = decide(history, &policy, now_s);
        self.carry_out(vec![(id, verdict)]).await;
    }

    /// As far as the host has room: what grows at once, what shrinks begins to.
    async fn carry_out(&mut self, verdicts: Vec<(String, Verdict)>) {
        let shared = self.share(&verdicts);
        let is_once = self.settings.once;
        for ((id, wanted), got) in verdicts.into_iter().zip(shared) {
            let is_cut = got.action != wanted.action;
            self.is_short |= is_cut;
            self.alert(&id, &got);
            match got.action {
                Action::Hold => {
                    if is_once || is_cut {
                        self.say(&id, None, "", &got.reason);
                    }
                }
                Action::Grow { to_bytes } => self.grow(&id, to_bytes, &got.reason).await,
                Action::Shrink { to_bytes } => self.begin_to_shrink(&id, to_bytes, got.reason),
            }
        }
    }

    /// What of this can be had. What shrinks makes no room before it has: it counts as it is.
    fn share(&self, verdicts: &[(String, Verdict)]) -> Vec<Verdict> {
        let hold = || Verdict {
            action: Action::Hold,
            reason: String::new(),
            alert: None,
        };
        let asks = |id: &String| verdicts.iter().find(|(other, _)| other == id);
        let (mut ids, mut wanted) = (Vec::new(), Vec::new());
        for (id, one) in &self.tracked {
            let verdict = asks(id).map(|(_, verdict)| verdict.clone());
            let is_growing = |verdict: &Verdict| !matches!(verdict.action, Action::Shrink { .. });
            ids.push(id);
            wanted.push(Wanted {
                service: &one.key,
                limit_bytes: one.held_bytes(),
                priority: one.policy.as_ref().map_or(0, |policy| policy.priority),
                verdict: verdict.filter(is_growing).unwrap_or_else(hold),
            });
        }
        share(&mut wanted, self.budget_bytes);
        let mut got: BTreeMap<_, _> = ids
            .into_iter()
            .zip(wanted.into_iter().map(|one| one.verdict))
            .collect();
        let of = |(id, asked): &(String, Verdict)| match asked.action {
            Action::Shrink { .. } => asked.clone(),
            _ => got.remove(id).unwrap_or_else(|| asked.clone()),
        };
        verdicts.iter().map(of).collect()
    }

    fn alert(&mut self, id: &str, verdict: &Verdict) {
        let Some(one) = self.tracked.get_mut(id) else {
            return;
        };
        let key = one.key.clone();
        one.alert = verdict.alert;
        self.figures.of(&key, |of| of.alert = verdict.alert);
        let about = format!("alert {key}");
        match verdict.alert {
            Some(alert) => {
                let what = match alert {
                    Alert::AtMaximum => "needs more and has its maximum",
                    Alert::HostFull => "needs more and the host has none left",
                };
                // The reason changes with every reading, and is on the line of the decision.
                self.voice
                    .note_once(&about, &format!("ALERT {key}: {what}"));
            }
            None => self
                .voice
                .over(&about, &format!("{key}: its alert is over")),
        }
    }

    async fn grow(&mut self, id: &str, to_bytes: u64, reason: &str) {
        let Some(from_bytes) = self.tracked.get(id).and_then(|one| one.limit_bytes) else {
            return;
        };
        if to_bytes <= from_bytes {
            return;
        }
        if self.settings.dry_run {
            self.say(id, Some((from_bytes, to_bytes)), DRY_RUN, reason);
            return;
        }
        if self.resize(id, from_bytes, to_bytes).await {
            self.say(id, Some((from_bytes, to_bytes)), "", reason);
        }
    }

    /// Whether it is done; if not, it was said why.
    pub(super) async fn resize(&mut self, id: &str, from_bytes: u64, to_bytes: u64) -> bool {
        let done = self.engine.resize(id, to_bytes).await;
        let Some(one) = self.tracked.get_mut(id) else {
            return false;
        };
        let key = one.key.clone();
        let about = format!("resize {key}");
        match done {
            Ok(()) => {
                one.limit_bytes = Some(to_bytes);
                one.changed = Some(Instant::now());
                let now_s = self.clock.now_s();
                self.histories
                    .entry(key.clone())
                    .or_default()
                    .resized(now_s, from_bytes, to_bytes);
                let change = Change {
                    at_s: now_s,
                    from_bytes,
                    to_bytes,
                };
                self.changes.insert(key.clone(), change);
                self.figures.of(&key, |of| {
                    of.limit_bytes = Some(to_bytes);
                    if to_bytes > from_bytes {
                        of.grown_total += 1;
                    } else {
                        of.shrunk_total += 1;
                    }
                });
                self.voice
                    .over(&about, &format!("{key}: can be resized again"));
                true
            }
            Err(EngineError::Gone(_)) => {
                self.tracked.remove(id);
                self.voice
                    .note(&format!("{key}: ended before its limit was changed"));
                false
            }
            Err(error @ EngineError::Away(_)) => {
                self.engine_is_away(&error);
                false
            }
            Err(error) => {
                self.figures.of(&key, |of| of.refused_total += 1);
                self.voice.note_once(
                    &about,
                    &format!("{key}: not resized to {}: {error}", human(to_bytes)),
                );
                false
            }
        }
    }

    /// A line for a decision; without a change: it stays.
    pub(super) fn say(&mut self, id: &str, change: Option<(u64, u64)>, remark: &str, reason: &str) {
        let Some(one) = self.tracked.get(id) else {
            return;
        };
        let limit_bytes = one.limit_bytes.unwrap_or(0);
        let (from_bytes, to_bytes) = change.unwrap_or((limit_bytes, limit_bytes));
        self.voice.decision(&Decision {
            service: &one.key,
            from_bytes,
            to_bytes,
            remark,
            reason,
        });
    }
}
