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

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::decide::History;
use crate::engine::{Actuator, EngineError, Usage, Way, least_limit_bytes};
use crate::scale::changes::{DRY_RUN, Outcome};
use crate::scale::scaler::{Message, Scaler};
use crate::scale::tracked::Shrinking;
use crate::size::human;

/// What a lower limit sets off shows within this time.
const SETTLES_IN: Duration = Duration::from_secs(2);
/// So long a reading guards a change; one that has waited behind other changes does not, and the engine takes its own.
const FRESH_FOR: Duration = Duration::from_secs(1);

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
            let cleaned = Message::Cleaned {
                id,
                asked,
                usage,
                read: Instant::now(),
            };
            let _ = messages.send(cleaned).await;
        });
    }

    /// Now this is used: the limit goes down as far as that allows.
    pub(super) async fn cleaned(
        &mut self,
        id: &str,
        asked: Result<(), String>,
        usage: Result<Usage, EngineError>,
        read: Instant,
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
            Err(EngineError::Gone(_)) => {
                self.vanished(id, "before its limit was changed");
                self.give_up(id, "");
                return;
            }
            Err(error) => {
                self.give_up(id, &error.to_string());
                return;
            }
        };
        let ratio = self.histories.get(&key).map_or(1.0, History::high_ratio);
        let least_bytes = least_bytes(used_bytes, ratio);
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
        let from_bytes = shrinking.from_bytes;
        // The loop waits for this. Others may want to shrink as well, or to grow.
        let used_bytes = Some(used_bytes).filter(|_| read.elapsed() <= FRESH_FOR);
        let way = Way::Down { used_bytes };
        if self.resize(id, from_bytes, to_bytes, way).await != Outcome::Done {
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
        let wrong = match usage {
            Ok(usage) => wrong(&usage, shrinking.to_bytes),
            // Nothing is left to take it back from.
            Err(EngineError::Gone(_)) => {
                let (within_s, to) = (SETTLES_IN.as_secs(), human(shrinking.to_bytes));
                let when = format!("within {within_s} s after its limit went down to {to}");
                self.vanished(id, &when);
                None
            }
            Err(error) => {
                let (key, to) = (&one.key, human(shrinking.to_bytes));
                let text = format!("{key}: stays at {to}, and what it uses is unknown: {error}");
                self.voice.note(&text);
                None
            }
        };
        let Some(wrong) = wrong else {
            if let Some(one) = self.tracked.get_mut(id) {
                one.shrinking = None;
            }
            self.has_shrunk = true;
            return;
        };
        let (from_bytes, to_bytes) = (shrinking.to_bytes, shrinking.from_bytes);
        if self.resize(id, from_bytes, to_bytes, Way::Up).await == Outcome::Done {
            let reason = format!("taken back: {wrong}");
            self.say(id, Some((from_bytes, to_bytes)), "", &reason);
        }
        self.give_up(id, "");
    }

    /// Nobody comes to look any more: what was set a moment ago is looked at now.
    pub(super) async fn settle_all(&mut self) {
        let mut readings = JoinSet::new();
        for (id, one) in &self.tracked {
            if one
                .shrinking
                .as_ref()
                .is_some_and(|shrinking| shrinking.is_set)
            {
                let (engine, id) = (Arc::clone(&self.engine), id.clone());
                readings.spawn(async move {
                    let usage = engine.usage(&id).await;
                    (id, usage)
                });
            }
        }
        while let Some(read) = readings.join_next().await {
            if let Ok((id, usage)) = read {
                self.settled(&id, usage).await;
            }
        }
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

/// The lowest limit at this usage: with the room that every change leaves, and so that what is used is not above the line from where on
/// the service refuses work.
fn least_bytes(used_bytes: u64, high_ratio: f64) -> u64 {
    let below_line_bytes = (used_bytes as f64 / high_ratio).ceil() as u64;
    least_limit_bytes(used_bytes).max(below_line_bytes)
}

/// Why a limit that was lowered a moment ago can't stay.
fn wrong(usage: &Usage, limit_bytes: u64) -> Option<String> {
    // The kernel rounds to whole pages, and those can have 64 KiB.
    let in_kernel_bytes = usage.limit_bytes.unwrap_or(u64::MAX);
    if in_kernel_bytes.abs_diff(limit_bytes) >= 64 << 10 {
        return Some("the kernel has another limit".to_owned());
    }
    // Half of the room that every change leaves.
    let room_bytes = least_limit_bytes(usage.used_bytes) - usage.used_bytes;
    let is_tight = usage.used_bytes.saturating_add(room_bytes / 2) > limit_bytes;
    is_tight.then(|| format!("{} are used already", human(usage.used_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_stays_if_it_is_in_force_and_leaves_room() {
        const MIB: u64 = 1 << 20;
        let table = [
            (32 * MIB, Some(64 * MIB), true),
            (62 * MIB, Some(64 * MIB), true),
            (62 * MIB + 1, Some(64 * MIB), false),
            (64 * MIB, Some(64 * MIB), false),
            (32 * MIB, Some(64 * MIB - 4096), true),
            (32 * MIB, Some(128 * MIB), false),
            (32 * MIB, None, false),
        ];
        for (used_bytes, limit_bytes, stays) in table {
            let usage = Usage {
                used_bytes,
                limit_bytes,
                oom_kills_total: None,
            };
            let wrong = wrong(&usage, 64 * MIB);
            assert_eq!(
                wrong.is_none(),
                stays,
                "{used_bytes} {limit_bytes:?} {wrong:?}"
            );
        }
    }
}
