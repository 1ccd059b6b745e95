//! [`Warned`]: which pressure was told as a warning. Pure.

use std::time::{Duration, Instant};

use crate::pressure::{PressureChange, PressureLevel};

/// Under lasting overload a level comes and goes many times a second, and is told once in this time.
const SPACING: Duration = Duration::from_secs(1);

/// What has been told, and what has not.
#[derive(Debug, Default)]
pub(super) struct Warned {
    /// The last warning, whether its end was told or not.
    last: Option<(Instant, PressureLevel)>,
    /// Its end was not told yet.
    is_open: bool,
    /// Holds, and nothing that was told and not taken back says so.
    untold: Option<PressureChange>,
}

/// What is to be told.
#[derive(Debug)]
pub(super) enum Tell {
    Rise(PressureChange),
    Over,
}

impl Warned {
    /// What a look says, `change` if it saw one: the rise to a level at which work is refused, but to the same or a lower one again
    /// only after a while, if it holds then; and that all is well again after what was told.
    pub(super) fn observe(&mut self, now: Instant, change: Option<PressureChange>) -> Option<Tell> {
        if let Some(change) = change {
            let is_news = change.is_rise() || !self.is_open;
            self.untold = Some(change).filter(|_| is_news && change.to >= PressureLevel::High);
            if change.to == PressureLevel::Normal && std::mem::take(&mut self.is_open) {
                return Some(Tell::Over);
            }
        }
        let untold = self.untold?;
        let was_told = |(then, told)| untold.to <= told && now < then + SPACING;
        if self.last.is_some_and(was_told) {
            return None;
        }
        self.untold = None;
        self.last = Some((now, untold.to));
        self.is_open = true;
        Some(Tell::Rise(untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pressure::PressureCause;
    use PressureLevel::{Critical, Elevated, High, Normal};

    /// What each look tells: its millisecond, the level that it found.
    fn told(looks: &[(u64, PressureLevel)]) -> Vec<(u64, PressureLevel)> {
        let start = Instant::now();
        let (mut warned, mut from) = (Warned::default(), Normal);
        let tell = |&(ms, to): &(u64, PressureLevel)| {
            let change = (to != from).then_some(PressureChange {
                from,
                to,
                cause: PressureCause::Used,
                bound: None,
            });
            from = to;
            match warned.observe(start + Duration::from_millis(ms), change)? {
                Tell::Rise(change) => Some((ms, change.to)),
                Tell::Over => Some((ms, Normal)),
            }
        };
        looks.iter().filter_map(tell).collect()
    }

    #[test]
    fn a_level_that_comes_and_goes_is_told_once_a_second() {
        let swing = |low| (0..300).map(move |n| (n * 10, if n % 2 == 0 { High } else { low }));
        let looks: Vec<_> = swing(Elevated).collect();
        assert_eq!(told(&looks), [(0, High), (1000, High), (2000, High)]);
        let looks: Vec<_> = swing(Normal).collect();
        let pairs = [0, 1000, 2000].map(|ms| [(ms, High), (ms + 10, Normal)]);
        assert_eq!(told(&looks), pairs.concat());
    }

    #[test]
    fn a_higher_level_is_told_at_once_and_one_that_holds_in_the_end() {
        let looks = [(0, High), (10, Critical), (20, High), (30, Critical)];
        assert_eq!(told(&looks), [(0, High), (10, Critical)]);
        // Nothing that holds stays untold, also after a fall to it.
        let held = [(0, Critical), (10, Normal), (20, Critical), (30, High)];
        let held = [&held[..], &[(1000, High), (2000, High), (3000, Normal)]].concat();
        let expected = [(0, Critical), (10, Normal), (1000, High), (3000, Normal)];
        assert_eq!(told(&held), expected);
        assert_eq!(told(&[(0, Elevated), (1000, Normal)]), []);
    }
}
