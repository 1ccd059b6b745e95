//! YAML with a heading, for people.

use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};

/// One document below comments.
pub(super) fn document(heading: &str, content: &impl Serialize) -> String {
    let mut text = String::new();
    for line in heading.lines() {
        text += format!("# {line}").trim_end();
        text.push('\n');
    }
    text + &body(content)
}

/// One document.
pub(super) fn body(content: &impl Serialize) -> String {
    // Only a map with a map for its key and the like can't be written: nothing here has such.
    serde_yaml_ng::to_string(content).unwrap_or_else(|error| format!("# {error}\n"))
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
