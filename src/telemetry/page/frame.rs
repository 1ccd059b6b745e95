//! [`Frame`]: what the charts draw of one moment.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::cleanup::CleanupReason;
use crate::telemetry::{Snapshot, Value};
use crate::usage::HeapUsage;

/// One moment of the last hour; the same size whatever the program does.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Since 1970.
    pub(super) t_ms: u64,
    pub(super) used_bytes: u64,
    pub(super) limit_bytes: Option<u64>,
    pub(super) rss_bytes: u64,
    pub(super) level: u8,
    pub(super) heap: Option<Heap>,
    pub(super) reserved_bytes: u64,
    pub(super) unfilled_bytes: u64,
    pub(super) waiting: u64,
    pub(super) stalled: Stalled,
    pub(super) pauses_total: u64,
    pub(super) paused_ms_total: u64,
    pub(super) time_to_limit_ms: Option<u64>,
    pub(super) cleanups: Option<Cleanups>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Heap {
    pub(super) allocated_bytes: u64,
    pub(super) active_bytes: u64,
    pub(super) dirty_bytes: u64,
    pub(super) metadata_bytes: u64,
    pub(super) retained_bytes: u64,
    pub(super) thread_cache_bytes: u64,
}

/// The share of the time since the frame before in which tasks waited for memory, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stalled {
    pub(super) some_percent: Option<f32>,
    pub(super) full_percent: Option<f32>,
}

/// The cleanups that ended since the frame before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cleanups {
    /// Of the frame in which they ended.
    pub(super) t_ms: u64,
    pub(super) count: u64,
    pub(super) futile: u64,
    pub(super) returned_bytes: u64,
    /// Of the last one.
    pub(super) reason: Option<CleanupReason>,
    /// Of the last one.
    pub(super) took_ms: u64,
}

impl Frame {
    /// What `snapshot` says, and what has happened since `before`.
    pub(super) fn of(snapshot: &Snapshot, before: Option<&Snapshot>) -> Frame {
        let stats = snapshot.stats();
        let usage = &stats.usage;
        let t_ms = unix_ms(snapshot);
        Frame {
            t_ms,
            // Of the limit by which the level goes; there may be a tighter one with more room left.
            used_bytes: usage
                .binding
                .map_or(usage.used_bytes, |bound| bound.used_bytes),
            limit_bytes: usage.binding.map(|bound| bound.limit_bytes),
            rss_bytes: usage.rss_bytes,
            level: stats.pressure as u8,
            heap: usage.heap.as_ref().map(Heap::of),
            reserved_bytes: stats.reserved_bytes,
            unfilled_bytes: stats.reserved_unfilled_bytes,
            waiting: stats.reservations_waiting,
            stalled: before
                .map_or_else(Stalled::default, |before| Stalled::since(before, snapshot)),
            pauses_total: stats.brake.pauses_total,
            paused_ms_total: stats.brake.paused_ms_total,
            time_to_limit_ms: stats.time_to_limit_ms,
            cleanups: before.and_then(|before| Cleanups::since(before, snapshot, t_ms)),
        }
    }

    /// Makes one frame of two: of the fuller moment, with the cleanups of both, and the worse of what is a share of time.
    pub(super) fn absorb(&mut self, other: Frame) {
        let cleanups = match (self.cleanups, other.cleanups) {
            (Some(one), Some(other)) => Some(one.and_then(other)),
            (one, other) => other.or(one),
        };
        let stalled = self.stalled.worse(other.stalled);
        let waiting = self.waiting.max(other.waiting);
        if other.used_bytes > self.used_bytes {
            *self = other;
        }
        self.cleanups = cleanups;
        self.stalled = stalled;
        self.waiting = waiting;
    }
}

fn unix_ms(snapshot: &Snapshot) -> u64 {
    let now = SystemTime::now();
    let taken = now.checked_sub(snapshot.age()).unwrap_or(now);
    taken
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

impl Heap {
    fn of(heap: &HeapUsage) -> Heap {
        Heap {
            allocated_bytes: heap.allocated_bytes,
            active_bytes: heap.active_bytes,
            dirty_bytes: heap.dirty_bytes,
            metadata_bytes: heap.metadata_bytes,
            retained_bytes: heap.retained_bytes,
            thread_cache_bytes: heap.thread_cache_bytes,
        }
    }
}

impl Stalled {
    fn since(before: &Snapshot, now: &Snapshot) -> Stalled {
        // The younger one has the smaller age.
        let passed_us = before.age().saturating_sub(now.age()).as_micros() as f64;
        let share = |total: fn(&Snapshot) -> Option<u64>| {
            let waited_us = total(now)?.checked_sub(total(before)?)? as f64;
            (passed_us > 0.0).then(|| (waited_us / passed_us * 100.0).min(100.0) as f32)
        };
        Stalled {
            some_percent: share(Snapshot::stalled_some_us_total),
            full_percent: share(Snapshot::stalled_full_us_total),
        }
    }

    /// The most of both, by kind; unknown is less than 0.
    fn worse(self, other: Stalled) -> Stalled {
        let most = |one: Option<f32>, other: Option<f32>| match (one, other) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        Stalled {
            some_percent: most(self.some_percent, other.some_percent),
            full_percent: most(self.full_percent, other.full_percent),
        }
    }
}

impl Cleanups {
    fn since(before: &Snapshot, now: &Snapshot, t_ms: u64) -> Option<Cleanups> {
        let (before, now) = (before.stats(), now.stats());
        let count = now.cleanups_total.saturating_sub(before.cleanups_total);
        (count > 0).then(|| {
            let last = now.last_cleanup.as_ref();
            let (returned, returned_before) = (
                now.cleanup_returned_bytes_total,
                before.cleanup_returned_bytes_total,
            );
            Cleanups {
                t_ms,
                count,
                futile: now
                    .cleanups_futile_total
                    .saturating_sub(before.cleanups_futile_total),
                returned_bytes: returned.saturating_sub(returned_before),
                reason: last.and_then(|report| report.reason),
                took_ms: last.map_or(0, |report| report.duration_ms),
            }
        })
    }

    fn and_then(self, later: Cleanups) -> Cleanups {
        Cleanups {
            count: self.count + later.count,
            futile: self.futile + later.futile,
            returned_bytes: self.returned_bytes + later.returned_bytes,
            ..later
        }
    }
}

/// A column of the history: a name, and where the figure comes from.
pub(super) type Field = (&'static str, fn(&Frame) -> Option<Value>);

/// All that the charts draw, in the order of the history's rows. `t` is in seconds, everything else in bytes unless it says so.
pub(super) const FIELDS: &[Field] = &[
    ("t", |f| Some(seconds(f.t_ms))),
    ("used", |f| Some(f.used_bytes.into())),
    ("limit", |f| f.limit_bytes.map(Value::from)),
    ("rss", |f| Some(f.rss_bytes.into())),
    ("level", |f| Some(u64::from(f.level).into())),
    ("allocated", |f| f.heap.map(|h| h.allocated_bytes.into())),
    ("active", |f| f.heap.map(|h| h.active_bytes.into())),
    ("dirty", |f| f.heap.map(|h| h.dirty_bytes.into())),
    ("metadata", |f| f.heap.map(|h| h.metadata_bytes.into())),
    ("retained", |f| f.heap.map(|h| h.retained_bytes.into())),
    ("thread_cache", |f| {
        f.heap.map(|h| h.thread_cache_bytes.into())
    }),
    ("reserved", |f| Some(f.reserved_bytes.into())),
    ("reserved_unfilled", |f| Some(f.unfilled_bytes.into())),
    ("waiting", |f| Some(f.waiting.into())),
    ("psi_some", |f| f.stalled.some_percent.map(tenths)),
    ("psi_full", |f| f.stalled.full_percent.map(tenths)),
    ("brake_pauses", |f| Some(f.pauses_total.into())),
    ("brake_paused_ms", |f| Some(f.paused_ms_total.into())),
    ("time_to_limit_s", |f| f.time_to_limit_ms.map(seconds)),
];

/// To a tenth: more digits are only more bytes.
fn seconds(ms: u64) -> Value {
    Value::F64((ms / 100) as f64 / 10.0)
}

fn tenths(percent: f32) -> Value {
    Value::F64((f64::from(percent) * 10.0).round() / 10.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::manager::{ManagerStats, MemoryManager, Stalls};
    use crate::usage::{Bound, LimitSource, fake};

    /// A frame of that second, with that much in use.
    pub(in crate::telemetry::page) fn frame(t_s: u64, used_bytes: u64) -> Frame {
        let stats = MemoryManager::builder().build().unwrap().stats();
        let mut frame = Frame::of(&Snapshot::of(stats, Vec::new()), None);
        frame.t_ms = t_s * 1000;
        frame.used_bytes = used_bytes;
        frame
    }

    fn snapshot(change: impl FnOnce(&mut ManagerStats), some_us: Option<u64>) -> Snapshot {
        let mut stats = MemoryManager::builder().build().unwrap().stats();
        change(&mut stats);
        let mut snapshot = Snapshot::of(stats, Vec::new());
        snapshot.stalls = Stalls {
            some_us,
            full_us: None,
        };
        snapshot
    }

    #[test]
    fn cleanups_are_those_since_the_frame_before() {
        let before = snapshot(|stats| stats.cleanups_total = 3, None);
        let after = |cleanups, futile, returned| {
            let now = snapshot(
                |stats| {
                    stats.cleanups_total = cleanups;
                    stats.cleanups_futile_total = futile;
                    stats.cleanup_returned_bytes_total = returned;
                },
                None,
            );
            Frame::of(&now, Some(&before))
                .cleanups
                .map(|some| (some.count, some.futile, some.returned_bytes))
        };
        assert_eq!(after(3, 0, 0), None);
        assert_eq!(after(5, 1, 700), Some((2, 1, 700)));
        // A forked child, or another manager.
        assert_eq!(after(2, 0, 0), None);
        assert!(Frame::of(&before, None).cleanups.is_none());
    }

    #[test]
    fn a_stall_is_a_share_of_the_time_between_and_unknown_without_both() {
        let before = snapshot(|_| {}, Some(1_000_000));
        std::thread::sleep(std::time::Duration::from_millis(2));
        let share = |some_us| {
            Frame::of(&snapshot(|_| {}, some_us), Some(&before))
                .stalled
                .some_percent
        };
        assert_eq!(share(Some(1_000_000)), Some(0.0));
        assert!(share(Some(1_000_100)).is_some_and(|share| share > 0.0 && share < 100.0));
        assert_eq!(share(Some(900_000_000)), Some(100.0));
        assert_eq!(share(Some(5)), None, "counted anew");
        assert_eq!(share(None), None);
        let frame = Frame::of(&before, None);
        assert_eq!(frame.stalled, Stalled::default());
    }

    #[test]
    fn two_in_one_show_the_fuller_moment_and_lose_no_cleanup() {
        let cleanups = |t_ms, count| Cleanups {
            t_ms,
            count,
            futile: 1,
            returned_bytes: 10,
            reason: None,
            took_ms: count,
        };
        let with = |t, used, cleanups| Frame {
            cleanups,
            ..frame(t, used)
        };
        let mut kept = with(1, 50, Some(cleanups(1000, 2)));
        kept.absorb(with(2, 70, None));
        assert_eq!((kept.t_ms, kept.used_bytes), (2000, 70));
        assert_eq!(kept.cleanups, Some(cleanups(1000, 2)));
        kept.absorb(with(3, 60, Some(cleanups(3000, 5))));
        assert_eq!((kept.t_ms, kept.used_bytes), (2000, 70));
        let sum = Cleanups {
            count: 7,
            futile: 2,
            returned_bytes: 20,
            ..cleanups(3000, 5)
        };
        assert_eq!(kept.cleanups, Some(sum));
    }

    #[test]
    fn the_worst_stall_of_several_frames_stays() {
        let with = |used, some_percent, waiting| Frame {
            stalled: Stalled {
                some_percent,
                full_percent: None,
            },
            waiting,
            ..frame(1, used)
        };
        let mut kept = with(50, Some(90.0), 3);
        kept.absorb(with(70, Some(0.0), 0));
        kept.absorb(with(60, None, 1));
        assert_eq!((kept.used_bytes, kept.waiting), (70, 3));
        assert_eq!(kept.stalled.some_percent, Some(90.0));
        assert_eq!(kept.stalled.full_percent, None);
    }

    #[test]
    fn used_and_limit_are_those_by_which_the_level_goes() {
        let now = snapshot(
            |stats| {
                stats.usage = fake::usage(30, Some(100));
                stats.usage.binding = Some(Bound {
                    used_bytes: 950,
                    limit_bytes: 1000,
                    source: LimitSource::Host,
                });
            },
            None,
        );
        let frame = Frame::of(&now, None);
        assert_eq!((frame.used_bytes, frame.limit_bytes), (950, Some(1000)));
    }
}
