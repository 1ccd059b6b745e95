//! The report as people read it.

use crate::doctor::finding::{Finding, Report};
use crate::table::{Align, Table, printable};

const HEADER: [&str; 4] = ["severity", "where", "what", "what to do"];

/// One row for each finding; where that is wider than `columns`, one paragraph each, so that commands stay in one piece.
pub fn text(report: &Report, columns: Option<usize>) -> String {
    if report.findings.is_empty() {
        return "nothing found\n".to_owned();
    }
    let table = table(&report.findings);
    let is_too_wide = |columns| table.lines().any(|line| line.chars().count() > columns);
    match columns.is_some_and(is_too_wide) {
        true => report.findings.iter().map(paragraph).collect(),
        false => table,
    }
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new(HEADER.map(|heading| (heading, Align::Left)));
    for finding in findings {
        // Only what to do has several lines.
        let mut todo = finding.todo.lines().map(printable);
        let first = todo.next().unwrap_or_default();
        let name = finding.severity.name().to_owned();
        table.row([
            name,
            printable(&finding.place),
            printable(&finding.what),
            first,
        ]);
        for command in todo {
            table.row([String::new(), String::new(), String::new(), command]);
        }
    }
    table.to_string()
}

fn paragraph(finding: &Finding) -> String {
    let (place, what) = (printable(&finding.place), printable(&finding.what));
    let mut text = format!("{}: {place}: {what}\n", finding.severity.name());
    for command in finding.todo.lines() {
        text += &format!("    {}\n", printable(command));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::{Code, Severity};

    fn report() -> Report {
        let swap = Finding::new(
            Severity::Warning,
            Code::NoSwap,
            "host",
            "no swap",
            "first\nsecond",
        );
        let kill = Finding::new(
            Severity::Error,
            Code::OomKill,
            "cgroup /a\x1b[2J\nb",
            "killed",
            "raise",
        );
        Report {
            findings: vec![kill, swap],
            ..Report::default()
        }
    }

    #[test]
    fn a_row_each_and_a_line_for_each_command() {
        let lines = [
            "severity  where          what     what to do",
            "error     cgroup /a?[2J?b  killed   raise",
            "warning   host           no swap  first",
            "                                  second",
        ];
        let seen = text(&report(), None);
        let cells = |line: &str| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let seen: Vec<_> = seen.lines().map(cells).collect();
        assert_eq!(seen, lines.map(cells));
    }

    #[test]
    fn a_narrow_terminal_gets_paragraphs() {
        let seen = text(&report(), Some(40));
        assert!(
            seen.starts_with("error: cgroup /a?[2J?b: killed\n    raise\nwarning: "),
            "{seen}"
        );
        assert_eq!(text(&report(), Some(200)), text(&report(), None));
    }

    #[test]
    fn nothing_found_is_said() {
        assert_eq!(text(&Report::default(), Some(80)), "nothing found\n");
    }
}
