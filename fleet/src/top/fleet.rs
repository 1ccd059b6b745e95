//! [`Fleet`]: what was seen of each service, and what follows from it. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use plimsoll::PressureLevel;

/// So many samples make a trend.
const MAX_SAMPLES: usize = 30;
/// Fewer, or in less time, make none.
const MIN_SAMPLES: usize = 3;
const MIN_SPAN: Duration = Duration::from_secs(2);
/// Where the levels begin in percent of the limit, as the library has it when nobody says otherwise.
const LINES: [(f64, PressureLevel); 3] = [
    (90.0, PressureLevel::Critical),
    (80.0, PressureLevel::High),
    (70.0, PressureLevel::Elevated),
];

/// What was seen of one container at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What the engine calls it.
    pub id: String,
    pub service: String,
    /// `None`: it ended while we asked.
    pub used_bytes: Option<u64>,
    /// `None`: it does not say what it could free.
    pub reclaimable_bytes: Option<u64>,
    /// Its own word, which knows more than the percentage.
    pub level: Option<PressureLevel>,
    /// `None`: unlimited.
    pub limit_bytes: Option<u64>,
}

/// A limit that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Seconds since the epoch.
    pub at_s: u64,
    pub from_bytes: Option<u64>,
    pub to_bytes: Option<u64>,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The service; its container's name where a service has several.
    pub name: String,
    pub used_bytes: Option<u64>,
    /// Used, less what the service says it could free.
    pub floor_bytes: Option<u64>,
    pub limit_bytes: Option<u64>,
    pub percent: Option<f64>,
    pub level: Option<PressureLevel>,
    /// Bytes per minute; `None`: too few samples.
    pub trend: Option<f64>,
    pub last: Option<Resize>,
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct Fleet {
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    now: Sample,
    used: VecDeque<(Duration, u64)>,
    last: Option<Resize>,
}

impl Fleet {
    /// Takes in what is there `at`, a time that only grows, `now_s` by the clock. What is not there any more is forgotten.
    pub fn observe(&mut self, at: Duration, now_s: u64, samples: Vec<Sample>) {
        let mut before = std::mem::take(&mut self.seen);
        for sample in samples {
            let mut seen = before.remove(&sample.id).unwrap_or_else(|| Seen {
                now: sample.clone(),
                used: VecDeque::new(),
                last: None,
            });
            if seen.now.limit_bytes != sample.limit_bytes {
                seen.last = Some(Resize {
                    at_s: now_s,
                    from_bytes: seen.now.limit_bytes,
                    to_bytes: sample.limit_bytes,
                });
            }
            if let Some(used_bytes) = sample.used_bytes {
                seen.used.push_back((at, used_bytes));
            }
            while seen.used.len() > MAX_SAMPLES {
                seen.used.pop_front();
            }
            seen.now = sample;
            self.seen.insert(seen.now.id.clone(), seen);
        }
    }

    /// The fullest first. `known`: what the scaler has written down, by service.
    pub fn rows(&self, known: &BTreeMap<String, Resize>) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .seen
            .values()
            .map(|seen| self.row(seen, known))
            .collect();
        rows.sort_by(|a, b| {
            let by_percent = |row: &Row| row.percent.unwrap_or(-1.0);
            by_percent(b)
                .total_cmp(&by_percent(a))
                .then_with(|| b.used_bytes.cmp(&a.used_bytes))
                .then_with(|| a.name.cmp(&b.name))
        });
        rows
    }

    fn row(&self, seen: &Seen, known: &BTreeMap<String, Resize>) -> Row {
        let now = &seen.now;
        let alike = self
            .seen
            .values()
            .filter(|other| other.now.service == now.service);
        // The scaler writes of a replica by both names.
        let (name, key) = match alike.count() {
            1 => (&now.service, now.service.clone()),
            _ => (&now.id, format!("{}/{}", now.service, now.id)),
        };
        let percent = now.used_bytes.zip(now.limit_bytes).map(percent);
        let claim = now.used_bytes.zip(now.reclaimable_bytes);
        // Who claims more than it uses is believed in nothing, as by the scaler.
        let is_believed = claim.is_none_or(|(used, could_free)| could_free <= used);
        let told = now.level.filter(|_| is_believed);
        let written = known.get(&key).copied();
        Row {
            name: name.clone(),
            used_bytes: now.used_bytes,
            floor_bytes: claim.and_then(|(used, could_free)| used.checked_sub(could_free)),
            limit_bytes: now.limit_bytes,
            percent,
            level: told.or_else(|| percent.map(level)),
            trend: trend(&seen.used),
            last: [seen.last, written]
                .into_iter()
                .flatten()
                .max_by_key(|last| last.at_s),
        }
    }
}

fn percent((used_bytes, limit_bytes): (u64, u64)) -> f64 {
    used_bytes as f64 / limit_bytes.max(1) as f64 * 100.0
}

fn level(percent: f64) -> PressureLevel {
    let line = LINES.into_iter().find(|(begin, _)| percent > *begin);
    line.map_or(PressureLevel::Normal, |(_, level)| level)
}

/// From the first to the last sample, per minute.
fn trend(used: &VecDeque<(Duration, u64)>) -> Option<f64> {
    let ((begin, first), (end, last)) = (used.front()?, used.back()?);
    let span = end.saturating_sub(*begin);
    if used.len() < MIN_SAMPLES || span < MIN_SPAN {
        return None;
    }
    Some((*last as f64 - *first as f64) / span.as_secs_f64() * 60.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    pub(crate) fn sample(id: &str, used_mib: u64, limit_mib: Option<u64>) -> Sample {
        Sample {
            id: format!("crypto-{id}"),
            service: id.to_owned(),
            used_bytes: Some(used_mib * MIB),
            reclaimable_bytes: None,
            level: None,
            limit_bytes: limit_mib.map(|mib| mib * MIB),
        }
    }

    fn rows(samples: Vec<Sample>) -> Vec<Row> {
        let mut fleet = Fleet::default();
        fleet.observe(Duration::ZERO, 0, samples);
        fleet.rows(&BTreeMap::new())
    }

    #[test]
    fn the_fullest_is_first_and_the_unlimited_last() {
        let samples = vec![
            sample("a", 10, Some(100)),
            sample("b", 900, None),
            sample("c", 95, Some(100)),
            sample("d", 1000, None),
            sample("e", 10, Some(100)),
        ];
        let names: Vec<_> = rows(samples).into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["c", "a", "e", "d", "b"]);
    }

    #[test]
    fn levels_follow_the_lines_unless_the_service_says_more() {
        let table = [
            (70, None, PressureLevel::Normal),
            (71, None, PressureLevel::Elevated),
            (81, None, PressureLevel::High),
            (91, None, PressureLevel::Critical),
            (120, None, PressureLevel::Critical),
            (10, Some(PressureLevel::High), PressureLevel::High),
            (95, Some(PressureLevel::Normal), PressureLevel::Normal),
        ];
        for (used_mib, told, expected) in table {
            let mut sample = sample("a", used_mib, Some(100));
            sample.level = told;
            assert_eq!(rows(vec![sample])[0].level, Some(expected), "{used_mib}");
        }
        assert_eq!(rows(vec![sample("a", 10, None)])[0].level, None);
    }

    #[test]
    fn the_floor_is_known_only_where_the_service_says_it() {
        for (reclaimable_mib, floor_mib) in [
            (None, None),
            (Some(30), Some(70)),
            (Some(100), Some(0)),
            (Some(101), None),
        ] {
            let mut sample = sample("a", 100, Some(200));
            sample.reclaimable_bytes = reclaimable_mib.map(|mib: u64| mib * MIB);
            sample.level = Some(PressureLevel::High);
            let row = &rows(vec![sample])[0];
            assert_eq!(row.floor_bytes, floor_mib.map(|mib: u64| mib * MIB));
            // Not believed in the one it is not in the other.
            let is_believed = reclaimable_mib.is_none_or(|mib| mib <= 100);
            assert_eq!(row.level == Some(PressureLevel::High), is_believed);
        }
    }

    #[test]
    fn a_trend_needs_samples_and_time() {
        let trend_of = |samples: &[(u64, u64)]| {
            let mut fleet = Fleet::default();
            for (at_s, used_mib) in samples {
                let at = Duration::from_secs(*at_s);
                fleet.observe(at, 0, vec![sample("a", *used_mib, None)]);
            }
            let trend = fleet.rows(&BTreeMap::new())[0].trend;
            trend.map(|trend| trend / MIB as f64)
        };
        assert_eq!(trend_of(&[(0, 1), (9, 9)]), None);
        assert_eq!(trend_of(&[(0, 1), (0, 2), (1, 9)]), None);
        assert_eq!(trend_of(&[(0, 10), (1, 11), (2, 12)]), Some(60.0));
        assert_eq!(trend_of(&[(0, 12), (30, 0), (60, 10)]), Some(-2.0));
        // Only the last samples count.
        let mut long = vec![(0, 1000)];
        long.extend((1..=MAX_SAMPLES as u64).map(|second| (second, 10)));
        assert_eq!(trend_of(&long), Some(0.0));
    }

    #[test]
    fn one_that_went_is_forgotten_and_starts_again() {
        let mut fleet = Fleet::default();
        for at_s in 0..3 {
            fleet.observe(Duration::from_secs(at_s), 0, vec![sample("a", 10, None)]);
        }
        fleet.observe(Duration::from_secs(3), 0, vec![]);
        assert_eq!(fleet.rows(&BTreeMap::new()), []);
        fleet.observe(Duration::from_secs(4), 0, vec![sample("a", 90, None)]);
        assert_eq!(fleet.rows(&BTreeMap::new())[0].trend, None);
    }

    #[test]
    fn the_later_of_what_was_seen_and_what_was_written_is_the_last() {
        let mut fleet = Fleet::default();
        fleet.observe(Duration::ZERO, 100, vec![sample("a", 10, Some(64))]);
        let written = |at_s| {
            let resize = Resize {
                at_s,
                from_bytes: Some(1),
                to_bytes: Some(2),
            };
            BTreeMap::from([("a".to_owned(), resize)])
        };
        assert_eq!(fleet.rows(&BTreeMap::new())[0].last, None);
        assert_eq!(fleet.rows(&written(50))[0].last.unwrap().at_s, 50);
        fleet.observe(Duration::from_secs(1), 101, vec![sample("a", 10, Some(96))]);
        let last = fleet.rows(&written(50))[0].last.unwrap();
        assert_eq!(
            (last.at_s, last.from_bytes, last.to_bytes),
            (101, Some(64 * MIB), Some(96 * MIB))
        );
        assert_eq!(fleet.rows(&written(102))[0].last.unwrap().at_s, 102);
    }

    #[test]
    fn a_replica_s_last_action_is_found_by_the_scaler_s_name_for_it() {
        let mut second = sample("a", 2, None);
        second.id = "crypto-a-2".to_owned();
        let mut fleet = Fleet::default();
        fleet.observe(Duration::ZERO, 0, vec![sample("a", 1, None), second]);
        let resize = |at_s| Resize {
            at_s,
            from_bytes: Some(1),
            to_bytes: Some(2),
        };
        let written = [("a", 1), ("a/crypto-a", 2), ("a/crypto-a-2", 3)];
        let written = written.map(|(key, at_s)| (key.to_owned(), resize(at_s)));
        let rows = fleet.rows(&written.into());
        let last = rows
            .iter()
            .map(|row| (row.name.as_str(), row.last.unwrap().at_s));
        let last: Vec<_> = last.collect();
        assert_eq!(last, [("crypto-a-2", 3), ("crypto-a", 2)]);
    }

    #[test]
    fn containers_of_one_service_have_their_own_names() {
        let mut second = sample("a", 2, None);
        second.id = "crypto-a-2".to_owned();
        let names = rows(vec![sample("a", 1, None), second, sample("b", 0, None)]);
        let names: Vec<_> = names.into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["crypto-a-2", "crypto-a", "b"]);
    }
}
