//! [`Pace`]: how often one source is listened to. Pure; the moment is passed in.

use std::time::{Duration, Instant};

/// After an event its source is not listened to for this long: more than ten readings a second tell nothing new.
pub(super) const SPACING: Duration = Duration::from_millis(100);
/// And what tells all the time is not listened to for this long.
const LONG_SPACING: Duration = Duration::from_secs(1);
/// Who has something to tell so soon after it was listened to again tells all the time. A PSI trigger comes every 2 s at most.
const AT_ONCE: Duration = Duration::from_millis(500);
/// So many times in a row.
const MANY: u32 = 20;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    next: Instant,
    at_once: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Pace {
            next: now,
            at_once: 0,
        }
    }

    /// From when on it is listened to.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn fired(&mut self, now: Instant) {
        if now.saturating_duration_since(self.next) <= AT_ONCE {
            self.at_once = self.at_once.saturating_add(1);
        } else {
            self.at_once = 0;
        }
        let spacing = if self.is_constant() {
            LONG_SPACING
        } else {
            SPACING
        };
        self.next = now + spacing;
    }

    pub(super) fn is_constant(&self) -> bool {
        self.at_once > MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_tells_all_the_time_is_listened_to_once_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut now = start;
        for round in 1..=MANY {
            pace.fired(now);
            assert!(!pace.is_constant(), "round {round}");
            assert_eq!(pace.next(), now + SPACING);
            now = pace.next() + MS;
        }
        for _ in 0..3 {
            pace.fired(now);
            assert!(pace.is_constant());
            assert_eq!(pace.next(), now + LONG_SPACING);
            now = pace.next() + MS;
        }
        // It was silent for a while.
        now += AT_ONCE;
        pace.fired(now);
        assert!(!pace.is_constant());
        assert_eq!(pace.next(), now + SPACING);
    }

    #[test]
    fn a_stall_every_two_seconds_is_not_all_the_time() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..10 * MANY {
            now += 2000 * MS;
            pace.fired(now);
            assert!(!pace.is_constant());
        }
    }
}
