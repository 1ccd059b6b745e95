//! A trigger on a PSI file: the kernel tells when tasks waited for memory for long.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};

use super::problem::Reason;
use super::{Notice, NoticeProblem, NoticeSource, PollFlags, Told};
use crate::reading::held::HeldFile;
use crate::reading::psi::{self, Trigger, Who};

/// Without a trigger, the counter itself: who may not write to the file, as in most containers, may still read it.
pub(crate) struct StallCounter {
    file: HeldFile,
    rate: Rate,
}

/// Waiting per time, held against what the trigger would have been.
struct Rate {
    last_us: u64,
    at: Instant,
}

impl StallCounter {
    /// The counter of the cgroup in `dir`.
    pub(crate) fn open(dir: &Path, now: Instant) -> Option<StallCounter> {
        let file = HeldFile::open(&dir.join("memory.pressure")).ok()?;
        let last_us = total_us(&file, Trigger::OWN.who).ok()?;
        let rate = Rate { last_us, at: now };
        Some(StallCounter { file, rate })
    }

    /// Whether tasks have waited for long since the last time that this said yes or no, a window ago or more. `None` once the
    /// counter is gone.
    pub(crate) fn is_stalled(&mut self, now: Instant) -> Option<bool> {
        let total_us = total_us(&self.file, Trigger::OWN.who).ok()?;
        Some(self.rate.is_high(total_us, now))
    }
}

impl Rate {
    fn is_high(&mut self, total_us: u64, now: Instant) -> bool {
        let elapsed_us = now.saturating_duration_since(self.at).as_micros();
        if elapsed_us < u128::from(Trigger::OWN.window_us) {
            return false;
        }
        let rise_us = total_us.saturating_sub(self.last_us);
        (self.last_us, self.at) = (total_us, now);
        u128::from(rise_us) * u128::from(Trigger::OWN.window_us)
            >= u128::from(Trigger::OWN.stall_us) * elapsed_us
    }
}

/// Room for two lines of the kernel's, the numbers as long as they can be.
const TEXT_BYTES: usize = 256;

pub(crate) struct StallTrigger {
    source: NoticeSource,
    path: PathBuf,
    descriptor: OwnedFd,
    check: Option<Check>,
}

/// What an event is held against: the kernel's own counter, read beside the descriptor that is polled.
struct Check {
    file: HeldFile,
    waited: Waited,
}

/// How much waiting the counter showed last.
struct Waited {
    who: Who,
    least_us: u64,
    last_us: u64,
}

impl Waited {
    /// The kernel reports at most once per window, and estimates: by interpolation, and at first from nothing. If its
    /// counter rose by less than the trigger names since the last report, then it did within the window too.
    fn is_true(&mut self, total_us: u64) -> bool {
        let rise_us = total_us.saturating_sub(self.last_us);
        self.last_us = total_us;
        rise_us >= self.least_us
    }
}

impl StallTrigger {
    /// A trigger of our own on the cgroup in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<StallTrigger, NoticeProblem> {
        let path = dir.join("memory.pressure");
        StallTrigger::set(
            NoticeSource::StallTrigger,
            &path,
            Trigger::OWN.text().as_bytes(),
        )
    }

    /// Writes `trigger` to the PSI file at `path`.
    pub(super) fn set(
        source: NoticeSource,
        path: &Path,
        trigger: &[u8],
    ) -> Result<StallTrigger, NoticeProblem> {
        let problem = |reason| NoticeProblem::new(source, path, reason);
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| problem(Reason::Unopened(error.into())))?;
        // The counter first: what is waited for from here on is in it.
        let check = match Trigger::parse(trigger) {
            Some(trigger) => Some(Check::open(path, trigger).map_err(problem)?),
            None => None,
        };
        rustix::io::write(&descriptor, trigger)
            .map_err(|error| problem(Reason::Unwritten(error.into())))?;
        Ok(StallTrigger {
            source,
            path: path.to_owned(),
            descriptor,
            check,
        })
    }

    fn problem(&self, reason: Reason) -> NoticeProblem {
        NoticeProblem::new(self.source, &self.path, reason)
    }
}

impl Check {
    /// A kernel that has no counter for the trigger refuses the trigger as well.
    fn open(path: &Path, trigger: Trigger) -> Result<Check, Reason> {
        let file = HeldFile::open(path).map_err(Reason::Unopened)?;
        let last_us = total_us(&file, trigger.who)?;
        Ok(Check {
            file,
            waited: Waited {
                who: trigger.who,
                least_us: trigger.stall_us,
                last_us,
            },
        })
    }
}

fn total_us(file: &HeldFile, who: Who) -> Result<u64, Reason> {
    let mut buf = [0; TEXT_BYTES];
    let text = file.read(&mut buf).map_err(Reason::Unreadable)?;
    psi::total_us(text, who).ok_or(Reason::NotUnderstood)
}

impl Notice for StallTrigger {
    fn source(&self) -> NoticeSource {
        self.source
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn flags(&self) -> PollFlags {
        PollFlags::PRI
    }

    fn answer(&mut self, ready: PollFlags) -> Result<Told, NoticeProblem> {
        // So the kernel answers, for ever, when the trigger or its cgroup is gone.
        if ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            return Err(self.problem(Reason::Ended));
        }
        let Some(check) = &mut self.check else {
            return Ok(Told::Stalled);
        };
        match total_us(&check.file, check.waited.who) {
            Ok(total_us) if check.waited.is_true(total_us) => Ok(Told::Stalled),
            Ok(_) => Ok(Told::FalseAlarm),
            Err(reason) => Err(self.problem(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_waiting_than_the_trigger_names_is_a_false_alarm() {
        let mut waited = Waited {
            who: Who::Some,
            least_us: 150_000,
            last_us: 1_000_000,
        };
        let cases = [
            (1_000_000, false),
            (1_149_999, false),
            // Since the last report, not since the beginning.
            (1_299_998, false),
            (1_449_998, true),
            (1_449_998, false),
            (9_000_000, true),
            // A counter that starts over is no rise.
            (0, false),
            (149_999, false),
            (299_999, true),
        ];
        for (total_us, is_true) in cases {
            assert_eq!(waited.is_true(total_us), is_true, "{total_us}");
        }
    }

    #[test]
    fn a_counter_is_held_against_the_time_it_took() {
        use std::time::Duration;
        let start = Instant::now();
        let mut rate = Rate {
            last_us: 1_000_000,
            at: start,
        };
        let cases = [
            // Too early to say; it counts later.
            (1_999, 1_100_000, false),
            (2_000, 1_150_000, true),
            (4_000, 1_299_999, false),
            // Ten seconds: 750 ms are as much as 150 ms in two.
            (14_000, 2_049_998, false),
            (24_000, 2_799_998, true),
            (26_000, 0, false),
        ];
        for (ms, total_us, is_high) in cases {
            let now = start + Duration::from_millis(ms);
            assert_eq!(rate.is_high(total_us, now), is_high, "after {ms} ms");
        }
    }
}
