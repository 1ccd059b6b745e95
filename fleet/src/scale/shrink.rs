//! How a limit goes down: a cleanup, a look, the change, another look; and back up if that shows too much.
//!
//! ```text
//!                begin_to_shrink          cleaned                  settled
//!   (none) ---------------------> asked ----------> set (is_set) ----------> (none)
//!                                   | no room          | no room left: the old limit again
//!                                   v                  v
//!                                 (none)             (none)
//! ```
//! A kill at any point ends it: then more is needed, not less.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Actuator, EngineError, Usage, least_limit_bytes};
use crate::scale::scaler::{Message, Scaler};
use crate::scale::tracked::Shrinking;
use crate::size::human;

/// What a lower limit sets off shows within this time.
const SETTLES_IN: Duration = Duration::from_secs(2);
const DRY_RUN: &str = "dry run: not done";

impl<A: Actuator + 'static> Scaler<A> {
    /// Asks for a cleanup, beside the loop.
    pub(super) fn begin_to_shrink(&mut self, id: &str, to_bytes: u64, reason: String) {
        let Some(one) = self.tracked.get_mut(id) else {
            return;
        };
        let Some(from_bytes) = one.limit_bytes.filter(|from| to_bytes < *from) else {
            return;
        };
        if one.shrinking.is_some() {
            return;
        }
        if self.settings.dry_run {
            self.say(id, Some((from_bytes, to_bytes)), DRY_RUN, &reason);
            return;
        }
        let now = Instant::now();
        if one.no_shrink_before.is_some_and(|earliest| now < earliest) {
            return;
        }
        one.shrinking = Some(Shrinking {
            from_bytes,
            to_bytes,
            reason,
            is_set: false,
        });
        let url = one.metrics_url.clone();
        let token = self.settings.token.clone();
        let (engine, scraper) = (Arc::clone(&self.engine), self.scraper.clone());
        let (messages, id) = (self.messages.clone(), id.to_owned());
        tokio::spawn(async move {
            let asked = match (url, token) {
                (Some(url), Some(token)) => scraper.cleanup(&url, &token).await,
                // Not every service can be asked; what it uses decides.
                _ => Ok(()),
            };
            let usage = engine.usage(&id).await;
            let _ = messages.send(Message::Cleaned { id, asked, usage }).await;
        });
    }

    /// Now this is used: the limit goes down as far as that allows.
    pub(super) async fn cleaned(
        &mut self,
        id: &str,
        asked: Result<(), String>,
        usage: Result<Usage, EngineError>,
    ) {
        let Some(one) = self.tracked.get_mut(id) else {
            return;
        };
        // A kill has come between, or an answer from before one.
        let Some(shrinking) = one.shrinking.clone().filter(|shrinking| !shrinking.is_set) else {
            return;
        };
        let key = one.key.clone();
        let about = format!("cleanup {key}");
        match asked {
            Ok(()) => self.voice.over(&about, &format!("{key}: cleans up again")),
            Err(why) => self
                .voice
                .note_once(&about, &format!("{key}: did not clean up: {why}")),
        }
        let used_bytes = match usage {
            Ok(usage) => usage.used_bytes,
            Err(error) => {
                self.give_up(id, &error.to_string());
                return;
            }
        };
        let least_bytes = least_limit_bytes(used_bytes);
        let to_bytes = shrinking.to_bytes.max(least_bytes);
        if to_bytes >= shrinking.from_bytes {
            let why = format!(
                "after a cleanup {} are used: no room for a lower limit than {}",
                human(used_bytes),
                human(least_bytes)
            );
            self.give_up(id, &why);
            return;
        }
        if !self.resize(id, shrinking.from_bytes, to_bytes).await {
            self.give_up(id, "");
            return;
        }
        let change = Some((shrinking.from_bytes, to_bytes));
        self.say(id, change, "", &shrinking.reason);
        if let Some(one) = self.tracked.get_mut(id) {
            one.shrinking = Some(Shrinking {
                to_bytes,
                is_set: true,
                ..shrinking
            });
        }
        let engine = Arc::clone(&self.engine);
        let (messages, id) = (self.messages.clone(), id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(SETTLES_IN).await;
            let usage = engine.usage(&id).await;
            let _ = messages.send(Message::Settled { id, usage }).await;
        });
    }

    /// The lower limit has been in force for a moment. It stays if there is still room below it.
    pub(super) async fn settled(&mut self, id: &str, usage: Result<Usage, EngineError>) {
        let Some(one) = self.tracked.get_mut(id) else {
            return;
        };
        let Some(shrinking) = one.shrinking.clone().filter(|shrinking| shrinking.is_set) else {
            return;
        };
        // Half of the room that every change leaves.
        let is_tight = |usage: Usage| {
            let room_bytes = least_limit_bytes(usage.used_bytes) - usage.used_bytes;
            usage.used_bytes.saturating_add(room_bytes / 2) > shrinking.to_bytes
        };
        let tight = usage.ok().filter(|usage| is_tight(*usage));
        let Some(usage) = tight else {
            one.shrinking = None;
            self.has_shrunk = true;
            return;
        };
        let (from_bytes, to_bytes) = (shrinking.to_bytes, shrinking.from_bytes);
        if self.resize(id, from_bytes, to_bytes).await {
            let reason = format!("taken back: {} are used already", human(usage.used_bytes));
            self.say(id, Some((from_bytes, to_bytes)), "", &reason);
        }
        self.give_up(id, "");
    }

    /// For as long as after a change.
    fn give_up(&mut self, id: &str, why: &str) {
        let Some(one) = self.tracked.get_mut(id) else {
            return;
        };
        one.shrinking = None;
        let cooldown_s = one.policy.as_ref().map_or(0, |policy| policy.cooldown_s);
        one.no_shrink_before = Some(Instant::now() + Duration::from_secs(cooldown_s));
        if !why.is_empty() {
            self.say(id, None, "", why);
        }
    }
}
