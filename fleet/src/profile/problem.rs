//! [`Problem`]: what is wrong with a profile, and where.

use std::fmt;

/// What is wrong, or doubtful, at one place of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub severity: Severity,
    pub message: String,
}

/// Whether a profile with it can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}:{}: {severity}: {}",
            self.line, self.column, self.message
        )
    }
}

/// Collects problems by their place in the text.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<(usize, Severity, String)>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Problems {
            text,
            found: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, at: usize, message: impl Into<String>) {
        self.found.push((at, Severity::Error, message.into()));
    }

    pub(super) fn warning(&mut self, at: usize, message: impl Into<String>) {
        self.found.push((at, Severity::Warning, message.into()));
    }

    pub(super) fn any_error(&self) -> bool {
        self.found
            .iter()
            .any(|(_, severity, _)| *severity == Severity::Error)
    }

    /// In the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort();
        let place = |(at, severity, message)| {
            let (line, column) = line_and_column(self.text, at);
            Problem {
                line,
                column,
                severity,
                message,
            }
        };
        self.found.into_iter().map(place).collect()
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    // A parser may point behind the end, or into a character.
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "a = 1\nü = \"内存\" # x\n";
        let table = [
            (0, (1, 1)),
            (4, (1, 5)),
            (6, (2, 1)),
            (8, (2, 2)),
            (11, (2, 5)),
            (text.find('#').unwrap(), (2, 10)),
            (text.len(), (3, 1)),
            (text.len() + 9, (3, 1)),
            // Within ü.
            (7, (2, 1)),
        ];
        for (at, expected) in table {
            assert_eq!(line_and_column(text, at), expected, "{at}");
        }
    }

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let mut problems = Problems::new("one\ntwo\n");
        problems.warning(4, "second");
        problems.error(0, "first");
        let lines: Vec<_> = problems
            .into_sorted()
            .iter()
            .map(Problem::to_string)
            .collect();
        assert_eq!(lines, ["1:1: error: first", "2:1: warning: second"]);
    }
}
