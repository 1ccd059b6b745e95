//! [`Scaler`]: takes readings and events, and does what is decided.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::decide::{History, Observation, Verdict, decide};
use crate::engine::{Actuator, Container, EngineError, Event, LeftOut, Usage};
use crate::failure::Failure;
use crate::profile::{Policy, Profile};
use crate::scale::changes::Planned;
use crate::scale::clock::Clock;
use crate::scale::figures::Figures;
use crate::scale::gather::{Reading, Seen};
use crate::scale::scrape::Scraper;
use crate::scale::settings::Settings;
use crate::scale::state::{Change, Kept, State};
use crate::scale::tracked::{Tracked, history_of, update};
use crate::scale::voice::Voice;
use crate::size::human;

/// Of one that is gone for so long, and of which there may be any number, nothing is kept.
const GONE_S: u64 = 7 * 86_400;
const ENGINE: &str = "engine";

/// What comes back from what was begun beside the loop.
#[derive(Debug)]
pub(super) enum Message {
    /// A reading of everything, and when it began.
    Gathered(Instant, Result<Reading, Failure>),
    Happened(Event),
    EventsEnded(EngineError),
    /// A service was asked to clean up, if it can be, and this is used since.
    Cleaned {
        id: String,
        asked: Result<(), String>,
        usage: Result<Usage, EngineError>,
        read: Instant,
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
    pub(super) policies: BTreeMap<String, Option<Policy>>,
    /// What a round has decided and is not done yet: between two changes a kill may come.
    pub(super) planned: VecDeque<Planned>,
    /// A kill took room after that was planned.
    pub(super) is_shared_anew: bool,
    /// Events of those that no list had yet, and when they were told.
    pub(super) unanswered: Vec<(Instant, Event)>,
    /// Of what was answered, by the engine's clock.
    pub(super) last_event_ns: u64,
    left_out: BTreeSet<String>,
    /// The state is another than the one that was saved.
    pub(super) is_changed: bool,
    /// The worst so far.
    failure: Option<Failure>,
    /// What the profile's services may have together: its budget, less what others on the host hold.
    pub(super) budget_bytes: u64,
    pub(super) profile_budget_bytes: u64,
    /// What the others hold, each.
    pub(super) others: BTreeMap<String, u64>,
    /// A round has been: before that nobody knows who holds what, and a kill that is told waits for it.
    pub(super) is_host_known: bool,
    /// Somebody runs whose limit was never seen: what is left of the budget is not known.
    pub(super) is_room_unknown: bool,
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
            planned: VecDeque::new(),
            is_shared_anew: false,
            unanswered: Vec::new(),
            last_event_ns: state.last_event_ns,
            left_out: BTreeSet::new(),
            is_changed: true,
            failure: None,
            budget_bytes: profile.budget_bytes,
            profile_budget_bytes: profile.budget_bytes,
            others: BTreeMap::new(),
            is_host_known: false,
            is_room_unknown: false,
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
        let rests = |one: &Tracked| one.shrinking.is_none();
        self.planned.is_empty() && self.tracked.values().all(rests)
    }

    pub(super) fn kept(&self) -> Kept<'_> {
        let mut kept = Kept::new(&self.histories, &self.changes);
        kept.saved_at_s = self.clock.now_s();
        // What waits for an answer is told again to the next run.
        let waiting = self.unanswered.iter().map(|(_, event)| event.at_ns).min();
        kept.last_event_ns = waiting.map_or(self.last_event_ns, |at_ns| {
            self.last_event_ns.min(at_ns.saturating_sub(1))
        });
        kept
    }

    /// For the exit code of a single round: the worst that happened, else that there is an alert.
    pub(super) fn outcome(&self) -> Result<(), Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let alerted = self.tracked.values().filter(|one| one.alert.is_some());
        let alerted: Vec<_> = alerted.map(|one| one.key.as_str()).collect();
        if alerted.is_empty() {
            return Ok(());
        }
        let text = format!("more is needed than there may be: {}", alerted.join(", "));
        Err(Failure::new(Failure::FOUND, text))
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        if self
            .failure
            .as_ref()
            .is_none_or(|worst| failure.code > worst.code)
        {
            self.failure = Some(failure);
        }
    }

    pub(super) fn engine_is_away(&mut self, error: &impl Display) {
        self.figures.all().engine_is_up = false;
        self.voice
            .note_once(ENGINE, &format!("{error}; trying again"));
    }

    /// A reading of everything, and when it began.
    pub(super) async fn round(&mut self, began: Instant, reading: Reading) {
        self.voice.over(ENGINE, "the engine is back");
        let Reading { seen, left_out } = reading;
        (self.is_short, self.has_shrunk) = (false, false);
        self.is_changed = true;
        self.know(began, &seen, &left_out);
        self.say_left_out(left_out);
        self.answer_the_late(began).await;
        let mut verdicts = Vec::new();
        for one in seen {
            let Seen {
                container,
                usage,
                told,
            } = one;
            if !self.tracked.contains_key(&container.id) {
                continue;
            }
            let about = format!("usage {}", container.id);
            let usage = match usage {
                None => continue,
                Some(Ok(usage)) => {
                    let text = format!("{}: its usage is known again", container.id);
                    self.voice.over(&about, &text);
                    usage
                }
                // It ended since the list, or waits for its restart: the next list says whether its room is free.
                Some(Err(EngineError::Gone(_))) => continue,
                Some(Err(error)) => {
                    let text = format!("{}: its usage is unknown: {error}", container.id);
                    self.voice.note_once(&about, &text);
                    self.failed(error.into());
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
        self.compare_with_budget();
        let shared = self.shared(verdicts);
        self.planned = shared.into();
        self.is_shared_anew = false;
    }

    fn say_left_out(&mut self, left_out: Vec<LeftOut>) {
        let before = std::mem::take(&mut self.left_out);
        for LeftOut { id, why } in left_out {
            let text = format!("{id}: left out, for too little is known of it: {why}");
            self.voice.note_once(&format!("left-out {id}"), &text);
            self.failed(Failure::new(Failure::REFUSED, text));
            self.left_out.insert(id);
        }
        for id in before.difference(&self.left_out) {
            let text = format!("{id}: is not left out any more");
            self.voice.over(&format!("left-out {id}"), &text);
        }
    }

    /// Who runs, who else is on the host, and what is left for ours.
    fn know(&mut self, began: Instant, seen: &[Seen], left_out: &[LeftOut]) {
        let containers: Vec<_> = seen.iter().map(|one| one.container.clone()).collect();
        update(
            &mut self.tracked,
            &containers,
            left_out,
            &self.policies,
            began,
        );
        self.count_others(seen, left_out);
        // What does not run uses nothing.
        let running: BTreeSet<&str> = self.tracked.values().map(|one| one.key.as_str()).collect();
        let (tracked, policies) = (&self.tracked, &self.policies);
        let listed: BTreeSet<&str> = left_out.iter().map(|one| one.id.as_str()).collect();
        self.voice.forget(|name| {
            running.contains(name) || tracked.contains_key(name) || listed.contains(name)
        });
        // Of replicas, and of what was in an earlier profile, there may be ever more.
        let now_s = self.clock.now_s();
        self.histories.retain(|key, history| {
            let is_gone = |at_s: u64| now_s.saturating_sub(at_s) > GONE_S;
            running.contains(key.as_str())
                || policies.contains_key(key)
                || !history.seen_at_s().is_none_or(is_gone)
        });
        let histories = &self.histories;
        let is_known = |key: &String| {
            running.contains(key.as_str())
                || policies.contains_key(key)
                || histories.contains_key(key)
        };
        self.changes.retain(|key, _| is_known(key));
        let services = &mut self.figures.all().services;
        services.retain(|key, _| is_known(key));
        for (service, of) in services {
            if !running.contains(service.as_str()) {
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
            self.voice.note_once(&format!("claim {key}"), &text);
            self.figures.of(&key, |of| of.scrape_failures_total += 1);
            told = None;
        } else if told.is_some() {
            let text = format!("{key}: what it says that it could free is believed again");
            self.voice.over(&format!("claim {key}"), &text);
        }
        let limit_bytes = usage.limit_bytes.or(container.limit_bytes);
        one.limit_bytes = limit_bytes;
        one.used_bytes = Some(usage.used_bytes);
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
        let text = format!("{key}: has a limit now");
        self.voice.over(&format!("limit {key}"), &text);
        let now_s = self.clock.now_s();
        let history = history_of(&mut self.histories, &key, now_s);
        let seen = Observation {
            at_s: now_s,
            used_bytes: usage.used_bytes,
            reclaimable_bytes,
            limit_bytes,
        };
        if let Some(ratio) = told.and_then(|told| told.high_ratio) {
            history.refuses_above(now_s, ratio);
        }
        history.observe(&seen, policy);
        // What is on its way down is not decided anew.
        one.shrinking
            .is_none()
            .then(|| decide(history, policy, now_s))
    }
}
