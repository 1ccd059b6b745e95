//! [`Voice`]: what the scaler says.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

use crate::scale::output::Output;
use crate::size::human;

/// Decisions, a line each, and notes about everything else.
pub struct Voice {
    decisions: Output,
    notes: Output,
    /// What was said and is not over: a word, and for most a name after it.
    said: BTreeSet<String>,
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").finish_non_exhaustive()
    }
}

/// One line of a decision.
pub(super) struct Decision<'a> {
    pub(super) service: &'a str,
    pub(super) from_bytes: u64,
    /// The same: it stays.
    pub(super) to_bytes: u64,
    /// "dry run: not done", or nothing.
    pub(super) remark: &'a str,
    pub(super) reason: &'a str,
}

impl Voice {
    /// To the process's output and error output.
    pub fn standard() -> Voice {
        Voice::new(io::stdout(), io::stderr())
    }

    /// To wherever.
    pub fn new(
        decisions: impl Write + Send + 'static,
        notes: impl Write + Send + 'static,
    ) -> Voice {
        Voice {
            decisions: Output::new(decisions),
            notes: Output::new(notes),
            said: BTreeSet::new(),
        }
    }

    /// Not when the reader of the decisions is gone.
    pub(super) fn is_heard(&self) -> bool {
        self.decisions.is_open()
    }

    pub(super) fn decision(&mut self, decision: &Decision<'_>) {
        let Decision {
            service,
            from_bytes,
            to_bytes,
            remark,
            reason,
        } = decision;
        let from = human(*from_bytes);
        let change = if from_bytes == to_bytes {
            format!("{from} stays")
        } else {
            format!("{from} -> {}", human(*to_bytes))
        };
        let remark = match *remark {
            "" => String::new(),
            remark => format!(" ({remark})"),
        };
        let line = format!("{} {service} {change}{remark}: {reason}\n", now());
        self.decisions.write(line);
    }

    /// Nobody has to read it.
    pub(super) fn note(&mut self, text: &str) {
        self.notes.write(format!("{} {text}\n", now()));
    }

    /// Not again until it is over, even if more is known of it.
    pub(super) fn note_once(&mut self, about: &str, text: &str) {
        if self.said.insert(about.to_owned()) {
            self.note(text);
        }
    }

    /// It is over; `text` is for those who heard that it began.
    pub(super) fn over(&mut self, about: &str, text: &str) {
        if self.said.remove(about) {
            self.note(text);
        }
    }
}

impl Voice {
    /// Forgets what was said of those that are not there any more.
    pub(super) fn forget(&mut self, is_there: impl Fn(&str) -> bool) {
        let of = |about: &str| about.split_once(' ').map(|(_, name)| name.to_owned());
        self.said
            .retain(|about| of(about).is_none_or(|name| is_there(&name)));
    }
}

/// What people and logs call it, whatever the scaler's own clock says.
fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Heard {
        /// Without times.
        pub(crate) fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            let timeless = text.lines().map(|line| line.split_once(' ').unwrap().1);
            timeless.map(str::to_owned).collect()
        }
    }

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// As when the reader of a pipe is gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_decision_is_one_line() {
        let heard = Heard::default();
        let mut voice = Voice::new(heard.clone(), io::sink());
        let mut decision = Decision {
            service: "fusion",
            from_bytes: 512 << 20,
            to_bytes: 768 << 20,
            remark: "",
            reason: "used 84 %",
        };
        voice.decision(&decision);
        decision.remark = "dry run: not done";
        voice.decision(&decision);
        decision.to_bytes = decision.from_bytes;
        voice.decision(&decision);
        assert!(voice.is_heard());
        drop(voice);
        assert_eq!(
            heard.lines(),
            [
                "fusion 512 MiB -> 768 MiB: used 84 %",
                "fusion 512 MiB -> 768 MiB (dry run: not done): used 84 %",
                "fusion 512 MiB stays (dry run: not done): used 84 %",
            ]
        );
        let time = now();
        assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
        let mut unheard = Voice::new(Closed, Closed);
        unheard.note("nobody reads this");
        assert!(unheard.is_heard());
        unheard.decision(&decision);
        while unheard.is_heard() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_lasts_is_said_once_and_its_end_too() {
        let heard = Heard::default();
        let mut voice = Voice::new(io::sink(), heard.clone());
        voice.over("engine", "it was never away");
        for _ in 0..3 {
            voice.note_once("engine", "away");
        }
        voice.note_once("engine", "away, for another reason");
        for _ in 0..2 {
            voice.over("engine", "back");
        }
        // Of one that is not there any more nothing is kept.
        voice.note_once("usage a/b", "unknown");
        voice.note_once("usage c", "unknown");
        voice.note_once("state", "lost");
        voice.forget(|name| name == "c");
        assert_eq!(voice.said.iter().collect::<Vec<_>>(), ["state", "usage c"]);
        drop(voice);
        let unknown = ["unknown"; 2];
        assert_eq!(
            heard.lines(),
            [&["away", "back"][..], &unknown, &["lost"]].concat()
        );
    }
}
