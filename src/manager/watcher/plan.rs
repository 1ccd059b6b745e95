//! [`Plan`]: what to listen to, as the worker's last look says.

use std::path::PathBuf;

use crate::reading::notice::{
    ChargeLine, MemoryEvents, Notice, NoticeProblem, NoticeSource, StallTrigger, WatchRequest,
};
use crate::usage::{Bound, CgroupVersion, Gauge, LimitSource};

/// How many sources there are at a time: `memory.events`, one that tells of stalls, and a charge line.
pub(super) const SEATS: usize = 3;
/// A line that has moved by less stays where it is.
const NEAR_PERCENT: u64 = 3;

/// What there is to listen to. Cheap to make, and to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Plan {
    /// The own cgroup's directory, if it is one of version 2.
    own_v2_dir: Option<PathBuf>,
    charge_line: Option<(PathBuf, u64)>,
}

/// One source, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    #[default]
    Nothing,
    MemoryEvents(PathBuf),
    StallTrigger(PathBuf),
    PressureWatch,
    ChargeLine {
        dir: PathBuf,
        bytes: u64,
    },
}

impl Plan {
    /// The own cgroup where it can tell by itself (version 2). In version 1 the level that binds is told to tell when what is
    /// used passes `line_bytes`.
    pub(in crate::manager) fn new(gauge: &Gauge, binding: Option<Bound>, line_bytes: u64) -> Self {
        let own = gauge.cgroup_place(0);
        let own_v2_dir = own
            .filter(|own| own.version == CgroupVersion::V2)
            .map(|own| own.dir);
        let charge_line = binding.and_then(|bound| {
            let LimitSource::Cgroup {
                version: CgroupVersion::V1,
                ancestor,
                ..
            } = bound.source
            else {
                return None;
            };
            let place = gauge.cgroup_place(ancestor)?;
            let bytes = charge_line_bytes(&bound, place.reclaimable_bytes, line_bytes)?;
            Some((place.dir, bytes))
        });
        Plan {
            own_v2_dir,
            charge_line,
        }
    }

    /// Seat by seat.
    pub(super) fn wanted(self, is_requested: bool) -> [Wanted; SEATS] {
        let own = self.own_v2_dir;
        [
            own.clone().map_or(Wanted::Nothing, Wanted::MemoryEvents),
            if is_requested {
                Wanted::PressureWatch
            } else {
                own.map_or(Wanted::Nothing, Wanted::StallTrigger)
            },
            self.charge_line
                .map_or(Wanted::Nothing, |(dir, bytes)| Wanted::ChargeLine {
                    dir,
                    bytes,
                }),
        ]
    }
}

/// Which charge is `line_bytes` of use: the page cache that can be dropped lies on top. `None` when that would be past the limit:
/// the charge ends there, and stands there all the time in a cgroup full of page cache.
fn charge_line_bytes(
    bound: &Bound,
    reclaimable_bytes: Option<u64>,
    line_bytes: u64,
) -> Option<u64> {
    let bytes = line_bytes.checked_add(reclaimable_bytes?)?;
    (bytes < bound.limit_bytes).then_some(bytes)
}

impl Wanted {
    /// Whether `self` would do nothing else than `held` does.
    pub(super) fn is_near(&self, held: &Wanted) -> bool {
        match (self, held) {
            (
                Wanted::ChargeLine { dir, bytes },
                Wanted::ChargeLine {
                    dir: held_dir,
                    bytes: held_bytes,
                },
            ) => dir == held_dir && bytes.abs_diff(*held_bytes) <= held_bytes / 100 * NEAR_PERCENT,
            _ => self == held,
        }
    }

    pub(super) fn open(
        &self,
        request: Option<&WatchRequest>,
    ) -> Option<Result<Box<dyn Notice>, NoticeProblem>> {
        fn boxed<N: Notice + 'static>(
            opened: Result<N, NoticeProblem>,
        ) -> Option<Result<Box<dyn Notice>, NoticeProblem>> {
            Some(opened.map(|notice| Box::new(notice) as Box<dyn Notice>))
        }
        match self {
            Wanted::Nothing => None,
            Wanted::MemoryEvents(dir) => boxed(MemoryEvents::open(dir)),
            Wanted::StallTrigger(dir) => boxed(StallTrigger::open(dir)),
            Wanted::PressureWatch => request.map(WatchRequest::open),
            Wanted::ChargeLine { dir, bytes } => boxed(ChargeLine::open(dir, *bytes)),
        }
    }

    /// For an operator.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Wanted::Nothing => "nothing",
            Wanted::MemoryEvents(_) => "memory.events",
            Wanted::StallTrigger(_) => "memory.pressure",
            Wanted::PressureWatch => "MEMORY_PRESSURE_WATCH",
            Wanted::ChargeLine { .. } => "charge line",
        }
    }

    pub(super) fn source(&self) -> NoticeSource {
        match self {
            Wanted::MemoryEvents(_) => NoticeSource::MemoryEvents,
            Wanted::StallTrigger(_) => NoticeSource::StallTrigger,
            Wanted::PressureWatch | Wanted::Nothing => NoticeSource::PressureWatch,
            Wanted::ChargeLine { .. } => NoticeSource::ChargeLine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_cache_lies_on_top_of_the_line() {
        let bound = Bound {
            limit_bytes: 1000,
            used_bytes: 100,
            source: LimitSource::Cgroup {
                version: CgroupVersion::V1,
                file: "memory.limit_in_bytes",
                ancestor: 0,
            },
        };
        let cases = [
            (Some(0), 800, Some(800)),
            (Some(150), 800, Some(950)),
            // The charge can't pass the limit, so it would never tell.
            (Some(200), 800, None),
            (Some(u64::MAX), 800, None),
            (None, 800, None),
        ];
        for (reclaimable_bytes, line_bytes, expected) in cases {
            assert_eq!(
                charge_line_bytes(&bound, reclaimable_bytes, line_bytes),
                expected,
                "{reclaimable_bytes:?}"
            );
        }
    }

    #[test]
    fn a_line_that_has_hardly_moved_stays() {
        let line = |dir: &str, bytes| Wanted::ChargeLine {
            dir: dir.into(),
            bytes,
        };
        let held = line("/a", 100_000);
        for (wanted, is_near) in [
            (line("/a", 100_000), true),
            (line("/a", 103_000), true),
            (line("/a", 97_000), true),
            (line("/a", 103_001), false),
            (line("/a", 96_999), false),
            (line("/b", 100_000), false),
            (Wanted::Nothing, false),
        ] {
            assert_eq!(wanted.is_near(&held), is_near, "{wanted:?}");
        }
        let events = |dir: &str| Wanted::MemoryEvents(dir.into());
        assert!(events("/a").is_near(&events("/a")));
        assert!(!events("/b").is_near(&events("/a")));
        assert!(!events("/a").is_near(&Wanted::StallTrigger("/a".into())));
    }

    #[test]
    fn what_systemd_names_replaces_a_trigger_of_our_own() {
        let plan = Plan {
            own_v2_dir: Some("/a".into()),
            charge_line: None,
        };
        let events = Wanted::MemoryEvents("/a".into());
        assert_eq!(
            plan.clone().wanted(false),
            [
                events.clone(),
                Wanted::StallTrigger("/a".into()),
                Wanted::Nothing
            ]
        );
        assert_eq!(
            plan.wanted(true),
            [events, Wanted::PressureWatch, Wanted::Nothing]
        );
        assert_eq!(
            Plan::default().wanted(true),
            [Wanted::Nothing, Wanted::PressureWatch, Wanted::Nothing]
        );
    }
}
