//! [`Family`]: the rules of thumb that a strategy has to beat.

/// What gets smaller by `shrink` per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrinks {
    /// The maximum that is remembered.
    Maximum,
    /// The limit, by a part of itself; the maximum is of all time.
    Limit,
    /// The limit, by a part of what was published; the maximum is of all time.
    LimitEvenly,
    /// The limit, by a part of itself; nothing is remembered beside it.
    LimitAlone,
}

impl Shrinks {
    pub const ALL: [Shrinks; 4] = [
        Shrinks::Maximum,
        Shrinks::Limit,
        Shrinks::LimitEvenly,
        Shrinks::LimitAlone,
    ];
}

/// "The running maximum times `factor` and `offset` more, shrinking by `shrink` per row", in each of its readings.
/// In parts of the published limit; after a kill a fifth more at once, as ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    pub shrinks: Shrinks,
    pub factor: f64,
    pub offset: f64,
    pub shrink: f64,
}

/// As [`crate::simulate::Score`] counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FamilyScore {
    pub oom_steps: u64,
    pub slack_rows: f64,
    pub used_rows: f64,
}

const LEAST: f64 = 0.05;
const MOST: f64 = 2.0;
const AFTER_A_KILL: f64 = 1.2;

impl Family {
    /// Replays one pod, and gives up once there were too many kills for anyone to care.
    pub fn replay(&self, used: &[f64], start: f64, give_up_after: u64) -> FamilyScore {
        let mut score = FamilyScore::default();
        let mut limit = start;
        let mut maximum: f64 = 0.0;
        for (row, used) in used.iter().copied().enumerate() {
            let killed = used > limit;
            score.oom_steps += u64::from(killed && row > 0);
            if score.oom_steps > give_up_after {
                break;
            }
            score.slack_rows += (limit - used).max(0.0);
            score.used_rows += used;
            maximum = match self.shrinks {
                Shrinks::Maximum => used.max(maximum * (1.0 - self.shrink)),
                Shrinks::LimitAlone => used,
                Shrinks::Limit | Shrinks::LimitEvenly => used.max(maximum),
            };
            let target = (maximum * self.factor + self.offset).clamp(LEAST, MOST);
            let shrunk = match self.shrinks {
                Shrinks::Maximum => target,
                Shrinks::LimitEvenly => limit - self.shrink,
                Shrinks::Limit | Shrinks::LimitAlone => limit * (1.0 - self.shrink),
            };
            let bumped = if killed { limit * AFTER_A_KILL } else { 0.0 };
            limit = target.max(shrunk).max(bumped).min(MOST);
        }
        score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits_cost(shrinks: Shrinks, used: &[f64]) -> FamilyScore {
        let family = Family {
            shrinks,
            factor: 1.0,
            offset: 0.1,
            shrink: 0.5,
        };
        family.replay(used, 1.0, 10)
    }

    #[test]
    fn each_reading_by_hand() {
        let used = [0.4, 0.2, 0.2];
        // Limits 1; 0.4 + 0.1; max(0.2, 0.4 / 2) + 0.1.
        let faded = limits_cost(Shrinks::Maximum, &used);
        assert!((faded.slack_rows - (0.6 + 0.3 + 0.1)).abs() < 1e-9);
        // 1; max(0.5, 1 / 2); 0.5.
        let halved = limits_cost(Shrinks::Limit, &used);
        assert!((halved.slack_rows - (0.6 + 0.3 + 0.3)).abs() < 1e-9);
        assert_eq!(limits_cost(Shrinks::LimitEvenly, &used), halved);
        // 1; 0.5; max(0.3, 0.25).
        let alone = limits_cost(Shrinks::LimitAlone, &used);
        assert!((alone.slack_rows - (0.6 + 0.3 + 0.1)).abs() < 1e-9);
    }

    #[test]
    fn the_first_row_is_nobodys_fault_and_each_later_one_counts() {
        let score = limits_cost(Shrinks::Maximum, &[1.5, 1.7, 0.9, 0.9]);
        assert_eq!(score.oom_steps, 1);
    }
}
