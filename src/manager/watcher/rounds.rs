//! What the thread does: wait, ask what it was, ring, rest.

use std::time::Instant;

use super::Watcher;
use super::pace::{Pace, SPACING};
use super::plan::SEATS;
use crate::manager::notices::Notices;
use crate::reading::notice::{Notice, NoticeSource, Told, Wake, wait};

/// A source that is listened to.
pub(super) struct Seated {
    notice: Box<dyn Notice>,
    pace: Pace,
}

impl Seated {
    pub(super) fn new(notice: Box<dyn Notice>, now: Instant) -> Self {
        Seated {
            notice,
            pace: Pace::new(now),
        }
    }
}

/// Until the watcher is stopped, or the worker is gone.
pub(super) fn run(watcher: &Watcher, wake: &Wake) {
    let mut seated: [Option<Seated>; SEATS] = Default::default();
    while watcher.take_changes(&mut seated) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = seated
            .iter()
            .enumerate()
            .filter_map(|(at, seated)| Some((at, seated.as_ref()?)))
            .partition(|(_, seated)| seated.pace.next() <= now);
        let timeout = later
            .iter()
            .map(|(_, seated)| seated.pace.next().saturating_duration_since(now))
            .min();
        let notices: Vec<&dyn Notice> = due.iter().map(|(_, seated)| &*seated.notice).collect();
        let Ok(ready) = wait(wake, &notices, timeout) else {
            // Want of memory is the one reason the kernel has.
            std::thread::sleep(SPACING);
            continue;
        };
        let due: Vec<usize> = due.into_iter().map(|(at, _)| at).collect();

        let now = Instant::now();
        let mut rings = false;
        for (at, ready) in due.into_iter().zip(ready) {
            let (false, Some(Seated { notice, pace })) = (ready.is_empty(), &mut seated[at]) else {
                continue;
            };
            let was_constant = pace.is_constant();
            pace.fired(now);
            if was_constant || pace.is_constant() {
                watcher.is_constant(at, pace.is_constant().then_some(now));
            }
            match notice.answer(ready) {
                Ok(told) => rings |= note(&watcher.notices, notice.source(), told),
                Err(problem) => {
                    watcher.is_over(at, problem);
                    seated[at] = None;
                }
            }
        }
        if rings && !(watcher.ring)() {
            return;
        }
    }
}

/// Counts it; whether it is a reason to look.
fn note(notices: &Notices, source: NoticeSource, told: Told) -> bool {
    match told {
        Told::Nothing => return false,
        Told::FalseAlarm => {
            notices.was_false_alarm();
            return false;
        }
        Told::Stalled => notices.stalled(),
        Told::Killed(processes) => {
            notices.limit_was_touched();
            notices.kernel_killed(processes);
        }
        Told::Look if source == NoticeSource::ChargeLine => notices.charge_line_was_passed(),
        Told::Look => notices.limit_was_touched(),
    }
    true
}
