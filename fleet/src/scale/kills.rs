//! What the engine tells: kills are answered at once, and new processes are known as such.

use tokio::time::Instant;

use crate::decide::{Observation, Verdict, decide};
use crate::engine::{Actuator, Event, Happening, now_ns};
use crate::scale::changes::{Outcome, limit};
use crate::scale::scaler::Scaler;
use crate::scale::tracked::{Before, Tracked, history_of, update};

/// Within this time one kill may be told several times.
const SAME_KILL_NS: u64 = NS;
const NS: u64 = 1_000_000_000;
/// More of what could not be asked about is not kept.
const MOST_UNANSWERED: usize = 1024;

impl<A: Actuator + 'static> Scaler<A> {
    pub(super) async fn happened(&mut self, event: Event) {
        let now = Instant::now();
        let is_kill = event.what == Happening::OomKill;
        if is_kill && !self.is_host_known {
            self.keep_for_later(now, event);
            return;
        }
        if is_kill && !self.tracked.contains_key(&event.id) {
            // It came since the last round.
            match self.engine.containers().await {
                Ok(containers) => {
                    let left_out = self.engine.left_out();
                    let policies = &self.policies;
                    update(&mut self.tracked, &containers, &left_out, policies, now);
                }
                Err(error) => {
                    self.engine_is_away(&error);
                    self.keep_for_later(now, event);
                    return;
                }
            }
        }
        if self.tracked.contains_key(&event.id) {
            self.answer(event).await;
        } else if event.what == Happening::Started {
            self.keep_for_later(now, event);
        } else {
            self.heard(event.at_ns);
        }
    }

    /// What was told of those that no list had yet. A list that was begun after it was told decides: not there is not ours.
    pub(super) async fn answer_the_late(&mut self, began: Instant) {
        for (told, event) in std::mem::take(&mut self.unanswered) {
            if self.tracked.contains_key(&event.id) {
                self.answer(event).await;
            } else if told > began {
                self.unanswered.push((told, event));
            } else {
                self.heard(event.at_ns);
            }
        }
    }

    fn keep_for_later(&mut self, now: Instant, event: Event) {
        let is_same = |other: &Event| other.id == event.id && other.what == event.what;
        self.unanswered.retain(|(_, other)| !is_same(other));
        if self.unanswered.len() < MOST_UNANSWERED {
            self.unanswered.push((now, event));
        }
    }

    fn heard(&mut self, at_ns: u64) {
        self.last_event_ns = self.last_event_ns.max(at_ns);
        self.is_changed = true;
    }

    async fn answer(&mut self, event: Event) {
        self.heard(event.at_ns);
        match event.what {
            Happening::OomKill => self.killed(event).await,
            Happening::Started => {
                let age_s = now_ns().saturating_sub(event.at_ns) / NS;
                let at_s = self.clock.now_s().saturating_sub(age_s);
                if let Some(one) = self.tracked.get(&event.id)
                    && let Some(history) = self.histories.get_mut(&one.key)
                {
                    history.restarted(at_s);
                }
            }
            Happening::Ended => {}
        }
    }

    async fn killed(&mut self, event: Event) {
        let Event { id, at_ns, .. } = event;
        let Some(one) = self.tracked.get_mut(&id) else {
            return;
        };
        let is_same = |before: u64| before.abs_diff(at_ns) < SAME_KILL_NS;
        if one.killed_at_ns.is_some_and(is_same) {
            return;
        }
        one.killed_at_ns = Some(at_ns);
        // Whatever was planned, it needs more.
        one.shrinking = None;
        self.planned.retain(|planned| planned.id != id);
        let key = one.key.clone();
        let (policy, limit_bytes) = (one.policy.clone(), one.limit_bytes);
        let before = self.before(&id).filter(|before| {
            // A time that is still to come is from before the clock was set back, and says nothing.
            at_ns < before.until_ns && before.until_ns <= now_ns()
        });
        let then_bytes = before.map_or(limit_bytes, |before| Some(before.limit_bytes));
        self.figures.of(&key, |of| of.oom_kills_total += 1);
        let at = limit(then_bytes);
        self.voice
            .note(&format!("{key}: the kernel killed it for memory at {at}"));
        let (Some(policy), Some(limit_bytes), Some(then_bytes)) = (policy, limit_bytes, then_bytes)
        else {
            return;
        };
        let now_s = self.clock.now_s();
        let is_new = !self.histories.contains_key(&key);
        let history = history_of(&mut self.histories, &key, now_s);
        if is_new {
            // No round has seen it yet; this much is certain.
            let full = Observation {
                at_s: now_s,
                used_bytes: then_bytes,
                reclaimable_bytes: None,
                limit_bytes: then_bytes,
            };
            history.observe(&full, &policy);
        }
        history.killed(now_s, then_bytes);
        if let Some(before) = before {
            // Told late: what was changed since is in force, and may be the answer.
            history.resized(before.until_s, limit_bytes);
        }
        let verdict = decide(history, &policy, now_s);
        let outcome = self.carry_out_now(&id, verdict).await;
        if outcome == Outcome::Overtaken
            && let Some(limit_bytes) = self.tracked.get(&id).and_then(|one| one.limit_bytes)
            && let Some(history) = self.histories.get_mut(&key)
        {
            // Kills are told at once, so it was killed at what is in force, and needs more than that.
            history.killed(now_s, limit_bytes);
            let verdict = decide(history, &policy, now_s);
            self.carry_out_now(&id, verdict).await;
        }
        // What is still planned was shared out before.
        self.is_shared_anew = !self.planned.is_empty();
    }

    async fn carry_out_now(&mut self, id: &str, verdict: Verdict) -> Outcome {
        let mut outcome = Outcome::NotDone;
        for planned in self.shared(vec![(id.to_owned(), verdict)]) {
            outcome = self.carry_out(planned).await;
        }
        outcome
    }

    /// What it had before the last change, also if that was made by an earlier run.
    fn before(&self, id: &str) -> Option<Before> {
        let one: &Tracked = self.tracked.get(id)?;
        one.before.or_else(|| {
            let change = self.changes.get(&one.key)?;
            Some(Before {
                until_ns: change.at_ns,
                until_s: change.at_s,
                limit_bytes: change.from_bytes,
            })
        })
    }
}
