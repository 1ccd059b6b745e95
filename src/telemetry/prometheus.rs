//! The metrics as Prometheus reads them: the text exposition format, version 0.0.4.
//!
//! ```
//! use plimsoll::telemetry::prometheus;
//!
//! // What a handler of GET /metrics answers, with any web framework:
//! let body = plimsoll::get_memory_manager().prometheus();
//! let headers = [("content-type", prometheus::CONTENT_TYPE)];
//! assert!(body.contains("# TYPE plimsoll_resident_bytes gauge\nplimsoll_resident_bytes "));
//! ```

use std::fmt::{self, Write};

use crate::manager::MemoryManager;
use crate::telemetry::{Kind, Snapshot, Value, metrics};

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Enough for the metrics and some dozens of sites.
const USUAL_BYTES: usize = 32 << 10;

impl MemoryManager {
    /// The metrics in Prometheus' text format, from the [`snapshot`](Self::snapshot) of this second.
    ///
    /// ```
    /// let text = plimsoll::get_memory_manager().prometheus();
    /// assert!(text.contains("\nplimsoll_pressure_level 0\n"));
    /// ```
    pub fn prometheus(&self) -> String {
        let mut text = String::with_capacity(USUAL_BYTES);
        render(&self.snapshot(), &mut text);
        text
    }
}

/// Appends all metrics that have samples to `text`.
///
/// ```
/// let mut text = String::new();
/// plimsoll::telemetry::prometheus::render(&plimsoll::get_memory_manager().snapshot(), &mut text);
/// assert!(text.ends_with('\n'));
/// ```
pub fn render(snapshot: &Snapshot, text: &mut String) {
    for metric in metrics() {
        let mut is_first = true;
        metric.visit(snapshot, |labels, value| {
            // A string takes whatever is written to it.
            if std::mem::take(&mut is_first) {
                let kind = match metric.kind() {
                    Kind::Gauge => "gauge",
                    Kind::Counter => "counter",
                };
                let (name, help) = (metric.name(), EscapedHelp(metric.help()));
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            }
            text.push_str(metric.name());
            for (position, (name, label)) in metric.label_names().iter().zip(labels).enumerate() {
                let before = if position == 0 { '{' } else { ',' };
                let _ = write!(text, "{before}{name}=\"{}\"", EscapedLabel(label));
            }
            text.push_str(if labels.is_empty() { " " } else { "} " });
            let _ = match value {
                Value::U64(value) => writeln!(text, "{value}"),
                Value::F64(value) => writeln!(text, "{value}"),
            };
        });
    }
}

/// A help text: backslash and line feed are escaped.
struct EscapedHelp<'a>(&'a str);

/// A label's value: the quote as well. Other control characters, which some parsers take for the end of a line, are gone.
struct EscapedLabel<'a>(&'a str);

impl fmt::Display for EscapedHelp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, false, f)
    }
}

impl fmt::Display for EscapedLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, true, f)
    }
}

fn escape(text: &str, quote: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_special = |c: char| c == '\\' || (quote && c == '"') || c.is_control();
    let mut rest = text;
    while let Some(position) = rest.find(is_special) {
        f.write_str(&rest[..position])?;
        let mut characters = rest[position..].chars();
        match characters.next() {
            Some('\\') => f.write_str("\\\\")?,
            Some('"') => f.write_str("\\\"")?,
            Some('\n') => f.write_str("\\n")?,
            _ => f.write_char(char::REPLACEMENT_CHARACTER)?,
        }
        rest = characters.as_str();
    }
    f.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping() {
        let table = [
            ("plain", "plain", "plain"),
            ("", "", ""),
            (r"back\slash", r"back\\slash", r"back\\slash"),
            ("a \"quote\"", "a \"quote\"", "a \\\"quote\\\""),
            ("two\nlines\n", "two\\nlines\\n", "two\\nlines\\n"),
            ("\\n", "\\\\n", "\\\\n"),
            (
                "\0\r\u{85}",
                "\u{fffd}\u{fffd}\u{fffd}",
                "\u{fffd}\u{fffd}\u{fffd}",
            ),
            (
                "<img src=x> \u{e9}\u{1f600}",
                "<img src=x> \u{e9}\u{1f600}",
                "<img src=x> \u{e9}\u{1f600}",
            ),
        ];
        for (text, help, label) in table {
            assert_eq!(EscapedHelp(text).to_string(), help);
            assert_eq!(EscapedLabel(text).to_string(), label);
        }
    }

    #[test]
    fn what_is_unknown_is_left_out_with_its_head_and_what_is_known_is_in_base_units() {
        use crate::manager::{ManagerStats, Stalls};

        let stats = MemoryManager::builder().build().unwrap().stats();
        let (unknown, known) = (Stalls::default(), |us| Stalls {
            some_us: Some(us),
            full_us: None,
        });
        let text = |percent, stalls, time_to_limit_ms| {
            let stats = ManagerStats {
                elevated_percent: percent,
                time_to_limit_ms,
                ..stats.clone()
            };
            let mut snapshot = Snapshot::of(stats, Vec::new());
            snapshot.stalls = stalls;
            let mut text = String::new();
            render(&snapshot, &mut text);
            text
        };
        let without = text(f64::NAN, unknown, None);
        for absent in ["stall_seconds", "time_to_limit", "elevated", "hook_", "NaN"] {
            assert!(!without.contains(absent), "{absent} in\n{without}");
        }
        let with = text(62.5, known(1_500_000), Some(2500));
        for line in [
            "plimsoll_level_begins_ratio{level=\"elevated\"} 0.625",
            "# TYPE plimsoll_pressure_stall_seconds_total counter",
            "plimsoll_pressure_stall_seconds_total{kind=\"some\"} 1.5",
            "# TYPE plimsoll_time_to_limit_seconds gauge",
            "plimsoll_time_to_limit_seconds 2.5",
        ] {
            assert!(with.lines().any(|other| other == line), "{line}\n{with}");
        }
    }
}
