//! [`Clock`]: seconds that never go back.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Seconds since the epoch at the start, and from there on by the clock that nobody sets. A host whose time jumps shortens no
/// cooldown and ages no history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    base_s: u64,
    started: Instant,
}

impl Clock {
    /// Begins now, and not before what an earlier run has seen.
    pub(super) fn start(not_before_s: u64) -> Clock {
        let wall_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Clock::at(wall_s, not_before_s)
    }

    fn at(wall_s: u64, not_before_s: u64) -> Clock {
        Clock {
            base_s: wall_s.max(not_before_s),
            started: Instant::now(),
        }
    }

    pub(super) fn now_s(&self) -> u64 {
        self.base_s.saturating_add(self.started.elapsed().as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_from_what_was_seen_and_never_back() {
        // The host's clock was set back by an hour between two runs.
        let clock = Clock::at(1_000_000, 1_003_600);
        assert_eq!(clock.now_s(), 1_003_600);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now_s(), 1_003_690);
        assert_eq!(Clock::at(2_000_000, 1_003_600).now_s(), 2_000_000);
    }
}
