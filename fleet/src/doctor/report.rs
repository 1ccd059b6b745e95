//! The report as people read it.

use ratatui::text::Span;

use crate::doctor::finding::{Finding, Report};

const HEADER: [&str; 4] = ["SEVERITY", "WHERE", "WHAT", "WHAT TO DO"];
const GAP: &str = "  ";

/// One row for each finding; where that is wider than `columns`, one paragraph each, so that commands stay in one piece.
pub fn text(report: &Report, columns: Option<usize>) -> String {
    if report.findings.is_empty() {
        return "nothing found\n".to_owned();
    }
    let table = table(&report.findings);
    let is_too_wide = |columns| table.lines().any(|line| width(line) > columns);
    match columns.is_some_and(is_too_wide) {
        true => report.findings.iter().map(paragraph).collect(),
        false => table,
    }
}

fn table(findings: &[Finding]) -> String {
    // A row has as many lines as its longest cell; only what to do has several.
    let mut lines = vec![HEADER.map(str::to_owned)];
    for finding in findings {
        let mut todo = finding.todo.lines().map(printable);
        let first = todo.next().unwrap_or_default();
        let name = finding.severity.name().to_owned();
        lines.push([
            name,
            printable(&finding.place),
            printable(&finding.what),
            first,
        ]);
        let more = todo.map(|command| [String::new(), String::new(), String::new(), command]);
        lines.extend(more);
    }
    let widest = |column: usize| lines.iter().map(|line| width(&line[column])).max();
    let widths: [usize; 4] = std::array::from_fn(|column| widest(column).unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, widest) in line.iter().zip(widths) {
            row += cell;
            row += &" ".repeat(widest - width(cell));
            row += GAP;
        }
        text += row.trim_end();
        text.push('\n');
    }
    text
}

fn paragraph(finding: &Finding) -> String {
    let (place, what) = (printable(&finding.place), printable(&finding.what));
    let mut text = format!("{}: {place}: {what}\n", finding.severity.name());
    for command in finding.todo.lines() {
        text += &format!("    {}\n", printable(command));
    }
    text
}

/// Names come from outside: what would move the cursor is shown as a question mark.
fn printable(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.collect()
}

fn width(text: &str) -> usize {
    Span::raw(text).width()
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
            "数 killed",
            "raise",
        );
        Report {
            findings: vec![kill, swap],
            ..Report::default()
        }
    }

    #[test]
    fn a_row_each_with_columns_that_align() {
        let expected = "\
SEVERITY  WHERE               WHAT       WHAT TO DO
error     cgroup /a?[2J?b     数 killed  raise
warning   host                no swap    first
                                         second
";
        let seen = text(&report(), None);
        // The column of places is as wide as the widest place.
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&seen), squeeze(expected));
        let column = |line: &str, word: &str| line.find(word).map(|at| width(&line[..at]));
        let lines: Vec<&str> = seen.lines().collect();
        let what = column(lines[0], "WHAT");
        assert_eq!(column(lines[1], "数"), what);
        assert_eq!(column(lines[2], "no swap"), what);
        let todo = column(lines[0], "WHAT TO DO");
        assert_eq!(column(lines[1], "raise"), todo);
        assert_eq!(column(lines[3], "second"), todo);
    }

    #[test]
    fn a_narrow_terminal_gets_paragraphs() {
        let seen = text(&report(), Some(40));
        assert!(
            seen.starts_with("error: cgroup /a?[2J?b: 数 killed\n    raise\nwarning: "),
            "{seen}"
        );
        assert_eq!(text(&report(), Some(200)), text(&report(), None));
    }

    #[test]
    fn nothing_found_is_said() {
        assert_eq!(text(&Report::default(), Some(80)), "nothing found\n");
    }
}
