//! The host's budget: what the profile's services may have together, and what of that is held.

use crate::engine::{Actuator, LeftOut, host_warning, is_too_small};
use crate::profile::Profile;
use crate::scale::gather::Seen;
use crate::scale::scaler::Scaler;
use crate::scale::tracked::Tracked;
use crate::size::human;

impl<A: Actuator + 'static> Scaler<A> {
    /// Who else is on the host, and what is left for ours.
    pub(super) fn count_others(&mut self, seen: &[Seen], left_out: &[LeftOut]) {
        let before = std::mem::take(&mut self.others);
        (self.is_host_known, self.is_room_unknown) = (true, false);
        let is_other = |one: &&Seen| !self.policies.contains_key(&one.container.service);
        let mut never_seen = Vec::new();
        for Seen {
            container, usage, ..
        } in seen.iter().filter(is_other)
        {
            let used_bytes = || Some(usage.as_ref()?.as_ref().ok()?.used_bytes);
            let known_bytes = container.limit_bytes.or_else(used_bytes);
            match known_bytes.or_else(|| before.get(&container.id).copied()) {
                Some(bytes) => {
                    self.others.insert(container.id.clone(), bytes);
                }
                None => never_seen.push((&container.id, "use, without a limit,")),
            }
        }
        for LeftOut { id, .. } in left_out {
            if let Some(bytes) = before.get(id) {
                // It still runs, and holds what it held.
                self.others.insert(id.clone(), *bytes);
            } else if !self.tracked.contains_key(id) {
                never_seen.push((id, "limit"));
            }
        }
        for (id, what) in never_seen {
            self.is_room_unknown = true;
            let text = format!("{id}: its {what} was never seen: nothing grows until it is");
            self.voice.note_once(&format!("never-seen {id}"), &text);
        }
        let others_bytes = sum(self.others.values().copied());
        self.budget_bytes = self.profile_budget_bytes.saturating_sub(others_bytes);
        if others_bytes > 0 {
            let text = format!(
                "other containers on the host hold {}: {} of the budget are left for the profile's",
                human(others_bytes),
                human(self.budget_bytes)
            );
            // How much it is changes with each of them; the metrics have that.
            self.voice.note_once("others", &text);
        } else {
            let text = "no other container on the host holds any of the budget any more";
            self.voice.over("others", text);
        }
    }

    /// A profile for a larger host hands out no more than this one has, less what the profile keeps for the system.
    pub(super) fn limit_to_host(&mut self, profile: &Profile, host_bytes: u64) {
        if !is_too_small(host_bytes, profile.host_bytes) {
            self.profile_budget_bytes = self.profile_budget_bytes.min(host_bytes);
            return;
        }
        let kept_bytes = profile.host_bytes.saturating_sub(profile.budget_bytes);
        let most_bytes = host_bytes.saturating_sub(kept_bytes);
        self.profile_budget_bytes = self.profile_budget_bytes.min(most_bytes);
        let warning = host_warning(
            host_bytes,
            &profile.name,
            profile.host_bytes,
            profile.limits_bytes(),
        );
        let budget = human(self.profile_budget_bytes);
        self.voice.note(&format!(
            "{warning}; the budget is {budget}: {} are kept for the system",
            human(kept_bytes)
        ));
    }

    /// All of the profile's together.
    pub(super) fn held_bytes(&self) -> u64 {
        sum(self.tracked.values().map(Tracked::held_bytes))
    }

    /// What may be handed out in all: without knowing what is left, no more than is.
    pub(super) fn may_be_held_bytes(&self) -> u64 {
        if self.is_room_unknown || self.tracked.values().any(Tracked::is_unknown) {
            self.budget_bytes.min(self.held_bytes())
        } else {
            self.budget_bytes
        }
    }

    /// For the metrics; and what somebody else gave out is said.
    pub(super) fn compare_with_budget(&mut self) {
        let (held_bytes, budget_bytes) = (self.held_bytes(), self.budget_bytes);
        {
            let mut all = self.figures.all();
            all.rounds_total += 1;
            all.engine_is_up = true;
            (all.budget_bytes, all.held_bytes) = (budget_bytes, held_bytes);
        }
        let (held, budget) = (human(held_bytes), human(budget_bytes));
        if held_bytes > budget_bytes {
            let text = format!(
                "all limits together are {held}, above the budget of {budget}: nothing grows until some shrink or end"
            );
            self.voice.note_once("budget", &text);
        } else {
            let text =
                format!("all limits together are {held}, and within the budget of {budget} again");
            self.voice.over("budget", &text);
        }
    }
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}
