//! v2 `memory.events`: how often limits were touched and processes killed, here and below.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use super::problem::Reason;
use super::{Notice, NoticeProblem, NoticeSource, PollFlags, Told};
use crate::reading::cgroup::keyed_value;
use crate::reading::held::HeldFile;

/// Room for twice as many counters as kernels write today.
const TEXT_BYTES: usize = 512;

/// The file, and what it said last.
pub(crate) struct MemoryEvents {
    path: PathBuf,
    file: HeldFile,
    last: Counts,
}

/// What is told of the counters: that one of them rose, and how many were killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// Sum of `low`, `high`, `max` and `oom`.
    touched: u64,
    /// `oom_kill`; kernels before 4.13 don't write it.
    killed: Option<u64>,
}

impl Counts {
    fn parse(text: &[u8]) -> Option<Counts> {
        let touched = ["low", "high", "max", "oom"]
            .into_iter()
            .try_fold(0u64, |sum, key| {
                Some(sum.saturating_add(keyed_value(text, key)?))
            })?;
        Some(Counts {
            touched,
            killed: keyed_value(text, "oom_kill"),
        })
    }

    /// `high` and `max` rise for page cache alone, so they are a reason to look and no pressure.
    fn since(self, last: Counts) -> Told {
        let killed = self
            .killed
            .unwrap_or(0)
            .saturating_sub(last.killed.unwrap_or(0));
        match killed {
            0 if self.touched > last.touched => Told::Look,
            0 => Told::Nothing,
            killed => Told::Killed(killed),
        }
    }
}

impl MemoryEvents {
    /// Watches the cgroup in `dir`. Only what happens from now on is told.
    pub(crate) fn open(dir: &Path) -> Result<MemoryEvents, NoticeProblem> {
        let path = dir.join("memory.events");
        let problem = |reason| NoticeProblem::new(NoticeSource::MemoryEvents, &path, reason);
        let file = HeldFile::open(&path).map_err(|error| problem(Reason::Unopened(error)))?;
        // Reading also takes the event that every fresh descriptor of this file has.
        let last = read(&file).map_err(problem)?;
        Ok(MemoryEvents { path, file, last })
    }
}

fn read(file: &HeldFile) -> Result<Counts, Reason> {
    let mut buf = [0; TEXT_BYTES];
    let text = file.read(&mut buf).map_err(Reason::Unreadable)?;
    Counts::parse(text).ok_or(Reason::NotUnderstood)
}

impl Notice for MemoryEvents {
    fn source(&self) -> NoticeSource {
        NoticeSource::MemoryEvents
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.descriptor()
    }

    fn flags(&self) -> PollFlags {
        PollFlags::PRI
    }

    /// Every event of this file comes with POLLERR, that of its removal too: reading it tells them apart.
    fn answer(&mut self, _ready: PollFlags) -> Result<Told, NoticeProblem> {
        let now = read(&self.file)
            .map_err(|reason| NoticeProblem::new(NoticeSource::MemoryEvents, &self.path, reason))?;
        let told = now.since(self.last);
        self.last = now;
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_the_kernels_text_and_of_nothing_else() {
        let counts = |touched, killed| Some(Counts { touched, killed });
        let cases: &[(&str, Option<Counts>)] = &[
            (
                "low 1\nhigh 2\nmax 4\noom 8\noom_kill 3\noom_group_kill 1\nsock_throttled 9\n",
                counts(15, Some(3)),
            ),
            ("low 0\nhigh 0\nmax 0\noom 0\n", counts(0, None)),
            ("low 0\nhigh 0\nmax 0\noom 0\noom_kill x\n", counts(0, None)),
            ("low 0\nhigh 0\nmax 0\n", None),
            ("low 0\nhigh -1\nmax 0\noom 0\n", None),
            ("low 0\nhigh\nmax 0\noom 0\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Counts::parse(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_change_means() {
        let cases = [
            ((5, Some(0)), (5, Some(0)), Told::Nothing),
            ((5, Some(0)), (6, Some(0)), Told::Look),
            ((5, Some(1)), (5, Some(3)), Told::Killed(2)),
            ((5, Some(1)), (9, Some(2)), Told::Killed(1)),
            ((5, None), (6, None), Told::Look),
            // A cgroup that was made anew counts from zero.
            ((5, Some(3)), (0, Some(0)), Told::Nothing),
        ];
        for (last, now, expected) in cases {
            let counts = |(touched, killed)| Counts { touched, killed };
            assert_eq!(
                counts(now).since(counts(last)),
                expected,
                "{last:?} {now:?}"
            );
        }
    }

    #[test]
    fn a_file_that_says_something_else_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |dir: &Path| MemoryEvents::open(dir).err().unwrap().to_string();
        assert!(problem(dir.path()).contains("cannot be opened"));
        std::fs::write(dir.path().join("memory.events"), "nothing\n").unwrap();
        assert!(problem(dir.path()).contains("not understood"));
    }

    #[test]
    fn what_is_told_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |max: u64, killed: u64| {
            let text = format!("low 0\nhigh 0\nmax {max}\noom 0\noom_kill {killed}\n");
            std::fs::write(dir.path().join("memory.events"), text).unwrap();
        };
        write(3, 1);
        let mut events = MemoryEvents::open(dir.path()).unwrap();
        let mut answer = || events.answer(PollFlags::PRI | PollFlags::ERR).unwrap();
        assert_eq!(answer(), Told::Nothing);
        write(4, 1);
        assert_eq!(answer(), Told::Look);
        assert_eq!(answer(), Told::Nothing);
        write(4, 2);
        assert_eq!(answer(), Told::Killed(1));
        assert_eq!(answer(), Told::Nothing);
    }
}
