//! YAML with a heading, for people.

use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};

/// One document below comments.
pub(super) fn document(heading: &str, content: &impl Serialize) -> String {
    comment(heading) + &body(content)
}

/// Each line as a comment.
pub(super) fn comment(text: &str) -> String {
    let line = |line: &str| format!("{}\n", format!("# {line}").trim_end());
    text.lines().map(line).collect()
}

/// One document.
pub(super) fn body(content: &impl Serialize) -> String {
    // Only a map with a map for its key and the like can't be written: nothing here has such.
    let marked = serde_yaml_ng::to_value(content).map(marked);
    let text = marked.and_then(|marked| serde_yaml_ng::to_string(&marked));
    text.map_or_else(
        |error| format!("# {error}\n"),
        |text| text.replace([OPEN, CLOSE], "'"),
    )
}

// The writer knows YAML 1.2, where `off` and `1:30` are texts. To the readers of compose and of Kubernetes, which know 1.1, they are false
// and 90. So such texts get marks, which the writer passes on as they are, and which then become quotes. The marks are for private use.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

fn marked(value: Value) -> Value {
    match value {
        Value::String(text) if is_more_in_1_1(&text) => format!("{OPEN}{text}{CLOSE}").into(),
        Value::Sequence(list) => list.into_iter().map(marked).collect::<Vec<_>>().into(),
        Value::Mapping(map) => {
            let pairs = map.into_iter();
            let pairs = pairs.map(|(key, value)| (marked(key), marked(value)));
            pairs.collect::<Mapping>().into()
        }
        other => other,
    }
}

/// Whether a text may be something else in YAML 1.1: a switch, nothing, a number to any base, a time.
fn is_more_in_1_1(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let is_word = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<",
    ]
    .contains(&word.as_str());
    let begins = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let in_number = |c: char| c.is_ascii_hexdigit() || "xotz_.:+- inf".contains(c);
    let has_digit =
        word.contains(|c: char| c.is_ascii_digit()) || word.contains("inf") || word.contains("nan");
    // With these the writer quotes by itself.
    let is_quoted = word.contains(": ") || word.contains(" -");
    is_word || (begins && has_digit && word.chars().all(in_number) && !is_quoted)
}

/// A map in the order given.
pub(super) fn map<K: Into<String>, V: Into<Value>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Mapping {
    let pair = |(key, value): (K, V)| (Value::from(key.into()), value.into());
    pairs.into_iter().map(pair).collect()
}

/// An empty line above each key that is indented by two.
pub(super) fn spaced(text: &str) -> String {
    let mut spaced = String::new();
    let mut first = true;
    for line in text.lines() {
        let is_key = line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
        if is_key && !std::mem::take(&mut first) {
            spaced.push('\n');
        }
        first |= !line.starts_with(' ');
        spaced += line;
        spaced.push('\n');
    }
    spaced
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_are_more_in_1_1_are_quoted() {
        let texts = [
            "off",
            "Off",
            "NO",
            "y",
            "TRUE",
            "~",
            "null",
            "=",
            "<<",
            "1:30",
            "190:20:30",
            "0777",
            "0x1F",
            "0b1",
            "0o7",
            "1_000",
            "+1",
            "-1",
            ".5",
            "1e3",
            ".inf",
            "-.INF",
            ".nan",
            "2001-01-01",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43",
            "0.0.0.0",
        ];
        for text in texts {
            assert_eq!(body(&text), format!("'{text}'\n"));
            let map = map([(text, text)]);
            assert_eq!(body(&map), format!("'{text}': '{text}'\n"));
        }
    }

    #[test]
    fn other_texts_are_plain() {
        let texts = [
            "512m",
            "2g",
            "1Gi",
            "100MiB",
            "one",
            "on.off",
            "/data",
            "a:b",
            "redis:7.0",
            "--port",
            "unless-stopped",
            "none",
        ];
        for text in texts {
            assert_eq!(body(&text), format!("{text}\n"));
        }
    }

    #[test]
    fn services_stand_apart() {
        let text =
            "# x\nservices:\n  a:\n    b: c\n  d:\n    e:\n    - f\nvolumes:\n  g:\n    h: i\n";
        let apart =
            "# x\nservices:\n  a:\n    b: c\n\n  d:\n    e:\n    - f\nvolumes:\n  g:\n    h: i\n";
        assert_eq!(spaced(text), apart);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key in "[ -~]{1,12}", text in "([ -~]{0,12}|[0-9.:+eE x_-]{0,12}|[a-z\n ]{0,9})") {
            let value = Value::from(map([(key, text)]));
            let back: Value = serde_yaml_ng::from_str(&body(&value)).unwrap();
            prop_assert_eq!(back, value);
        }
    }
}
