//! What is decided is carried out: as far as the host has room, one change at a time.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::decide::{Action, Alert, Verdict, Wanted, share};
use crate::engine::{Actuator, EngineError, Way, now_ns};
use crate::failure::Failure;
use crate::scale::scaler::Scaler;
use crate::scale::state::Change;
use crate::scale::tracked::{Before, Tracked};
use crate::scale::voice::Decision;
use crate::size::human;

/// On the line of what is not done.
pub(super) const DRY_RUN: &str = "dry run: not done";

/// One decision that has its share of the room.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) id: String,
    pub(super) verdict: Verdict,
    /// It is less than what was decided.
    is_cut: bool,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    NotDone,
    /// Somebody else was faster; the limit is known anew.
    Overtaken,
}

/// In words; `None`: there is none.
pub(super) fn limit(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "no limit".to_owned(), human)
}

impl<A: Actuator + 'static> Scaler<A> {
    /// As far as the host has room.
    pub(super) fn shared(&mut self, verdicts: Vec<(String, Verdict)>) -> Vec<Planned> {
        let shared = self.share(&verdicts);
        let with_share = verdicts.into_iter().zip(shared);
        let planned: Vec<_> = with_share
            .map(|((id, wanted), verdict)| Planned {
                id,
                is_cut: verdict.action != wanted.action,
                verdict,
            })
            .collect();
        self.is_short |= planned.iter().any(|one| one.is_cut);
        planned
    }

    /// The next one of what is planned.
    pub(super) async fn carry_out_next(&mut self) {
        let Some(planned) = self.planned.pop_front() else {
            return;
        };
        if self.is_shared_anew && !self.has_room_for(&planned) {
            // The next round shares out what is left.
            self.is_short = true;
            return;
        }
        self.carry_out(planned).await;
    }

    fn has_room_for(&self, planned: &Planned) -> bool {
        let Action::Grow { to_bytes } = planned.verdict.action else {
            return true;
        };
        let its_bytes = self.tracked.get(&planned.id).map_or(0, Tracked::held_bytes);
        let more_bytes = to_bytes.saturating_sub(its_bytes);
        more_bytes == 0 || self.held_bytes().saturating_add(more_bytes) <= self.may_be_held_bytes()
    }

    /// What grows at once, what shrinks begins to.
    pub(super) async fn carry_out(&mut self, planned: Planned) -> Outcome {
        let Planned {
            id,
            verdict,
            is_cut,
        } = planned;
        self.alert(&id, &verdict);
        match verdict.action {
            Action::Hold => {
                if self.settings.once || is_cut {
                    self.say(&id, None, "", &verdict.reason);
                }
                Outcome::NotDone
            }
            Action::Grow { to_bytes } => self.grow(&id, to_bytes, &verdict.reason).await,
            Action::Shrink { to_bytes } => {
                self.begin_to_shrink(&id, to_bytes, verdict.reason);
                Outcome::NotDone
            }
        }
    }

    /// What of this can be had. What shrinks makes no room before it has: it counts as it is.
    fn share(&self, verdicts: &[(String, Verdict)]) -> Vec<Verdict> {
        let hold = || Verdict {
            action: Action::Hold,
            reason: String::new(),
            alert: None,
            after_kill: false,
        };
        let asked: BTreeMap<&String, &Verdict> =
            verdicts.iter().map(|(id, verdict)| (id, verdict)).collect();
        let (mut ids, mut wanted) = (Vec::new(), Vec::new());
        for (id, one) in &self.tracked {
            let verdict = asked.get(id).map(|verdict| (*verdict).clone());
            let is_growing = |verdict: &Verdict| !matches!(verdict.action, Action::Shrink { .. });
            ids.push(id);
            wanted.push(Wanted {
                service: &one.key,
                limit_bytes: one.held_bytes(),
                priority: one.policy.as_ref().map_or(0, |policy| policy.priority),
                verdict: verdict.filter(is_growing).unwrap_or_else(hold),
            });
        }
        share(&mut wanted, self.may_be_held_bytes());
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

    async fn grow(&mut self, id: &str, to_bytes: u64, reason: &str) -> Outcome {
        let Some(one) = self.tracked.get(id) else {
            return Outcome::NotDone;
        };
        let Some(from_bytes) = one.limit_bytes.filter(|from| to_bytes > *from) else {
            return Outcome::NotDone;
        };
        let way = one.way_up(to_bytes);
        if self.settings.dry_run {
            self.say(id, Some((from_bytes, to_bytes)), DRY_RUN, reason);
            return Outcome::NotDone;
        }
        let outcome = self.resize(id, from_bytes, to_bytes, way).await;
        if outcome == Outcome::Done {
            self.say(id, Some((from_bytes, to_bytes)), "", reason);
        }
        outcome
    }

    /// If it is not done, it was said why.
    pub(super) async fn resize(
        &mut self,
        id: &str,
        from_bytes: u64,
        to_bytes: u64,
        way: Way,
    ) -> Outcome {
        let done = self.engine.resize(id, to_bytes, way).await;
        let Some(one) = self.tracked.get_mut(id) else {
            return Outcome::NotDone;
        };
        let key = one.key.clone();
        let about = format!("resize {key}");
        match done {
            Ok(()) => {
                (one.limit_bytes, one.listed_bytes) = (Some(to_bytes), Some(to_bytes));
                one.changed = Some(Instant::now());
                let now_s = self.clock.now_s();
                one.before = Some(Before {
                    until_ns: now_ns(),
                    until_s: now_s,
                    limit_bytes: from_bytes,
                });
                self.is_changed = true;
                self.histories
                    .entry(key.clone())
                    .or_default()
                    .resized(now_s, to_bytes);
                let change = Change {
                    at_s: now_s,
                    at_ns: now_ns(),
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
                Outcome::Done
            }
            Err(EngineError::Gone(_)) => {
                self.vanished(id, "before its limit was changed");
                Outcome::NotDone
            }
            Err(EngineError::Overtaken(limit_bytes)) => {
                one.limit_bytes = limit_bytes;
                // What was read before knows nothing of that.
                one.changed = Some(Instant::now());
                self.figures.of(&key, |of| of.limit_bytes = limit_bytes);
                let (is, to) = (limit(limit_bytes), human(to_bytes));
                self.voice.note(&format!(
                    "{key}: was given {is} meanwhile, and keeps that instead of {to}"
                ));
                Outcome::Overtaken
            }
            Err(error @ EngineError::Away(_)) => {
                self.engine_is_away(&error);
                self.failed(error.into());
                Outcome::NotDone
            }
            Err(error) => {
                self.figures.of(&key, |of| of.refused_total += 1);
                let text = format!("{key}: not resized to {}: {error}", human(to_bytes));
                self.voice.note_once(&about, &text);
                let code = Failure::from(error).code;
                self.failed(Failure::new(code, text));
                Outcome::NotDone
            }
        }
    }

    /// The next list says whether its room is free: it may only wait for its restart.
    pub(super) fn vanished(&mut self, id: &str, when: &str) {
        if let Some(one) = self.tracked.get(id) {
            let text = format!("{}: ended {when}", one.key);
            self.voice.note(&text);
            self.failed(Failure::new(Failure::NO_HOST, text));
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
