//! What is logged, held against the table in the docs.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use plimsoll::{ByteSize, MemoryLimit, MemoryManager, PressureLevel, get_memory_manager};
use support::{alone, wait_until};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// A kind of event: what it says, with `..` for what varies, and the names of its fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    level: String,
    message: String,
    fields: BTreeSet<String>,
}

/// What the docs say.
fn documented() -> BTreeSet<Kind> {
    let text = include_str!("../src/events.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let kinds = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, level, message, fields, ..] = &cells[..] else {
            panic!("{row}");
        };
        let words = |cell: &str| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        Kind {
            level: level.trim_matches('`').to_owned(),
            message: message.trim_matches('`').to_owned(),
            fields: words(fields),
        }
    });
    kinds.collect()
}

/// What the sources say: every use of `tracing::` in them.
fn written(dir: &Path, kinds: &mut Vec<Kind>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            written(&path, kinds);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let code: Vec<_> = source
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            let code = code.join("\n").replace("tracing::field::", "");
            for call in code.split("tracing::").skip(1) {
                kinds.push(parsed(call).unwrap_or_else(|| panic!("{}: {call}", path.display())));
            }
        }
    }
}

/// `warn!(target: "plimsoll", a, b = %c, "text", d)`
fn parsed(call: &str) -> Option<Kind> {
    let (level, arguments) = call.split_once("!(")?;
    let (mut is_text, mut depth, mut argument) = (false, 0, String::new());
    let mut all = Vec::new();
    for c in arguments.chars() {
        match c {
            '"' => is_text = !is_text,
            '(' | '[' | '{' if !is_text => depth += 1,
            ')' if !is_text && depth == 0 => break,
            ')' | ']' | '}' if !is_text => depth -= 1,
            ',' if !is_text && depth == 0 => {
                all.push(std::mem::take(&mut argument));
                continue;
            }
            _ => {}
        }
        argument.push(c);
    }
    all.push(argument);
    let mut all = all.iter().map(|argument| argument.trim());
    if all.next() != Some("target: \"plimsoll\"") {
        return None;
    }
    let mut fields = BTreeSet::new();
    for argument in all {
        if let Some(text) = argument.strip_prefix('"') {
            let mut message = String::new();
            for (position, part) in text.strip_suffix('"')?.split('{').enumerate() {
                let constant = part.split_once('}').map_or(part, |(_, after)| after);
                message.push_str(if position > 0 { ".." } else { "" });
                message.push_str(constant);
            }
            return Some(Kind {
                level: level.to_owned(),
                message,
                fields,
            });
        }
        let name = argument.split(" = ").next()?;
        fields.insert(name.trim_start_matches(['%', '?']).to_owned());
    }
    None
}

#[test]
fn the_docs_list_every_event_of_the_sources() {
    let mut kinds = Vec::new();
    written(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut kinds,
    );
    let written: BTreeSet<_> = kinds.iter().cloned().collect();
    assert_eq!(written.len(), kinds.len(), "two alike: {kinds:#?}");
    assert_eq!(written, documented());
}

/// An event as it arrived, with those of its fields that had a value.
#[derive(Clone, Debug)]
struct Told {
    level: Level,
    target: String,
    message: String,
    fields: Vec<(String, String)>,
}

impl Told {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| &**value)
    }

    fn bytes(&self, name: &str) -> i64 {
        let value = self
            .field(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.parse().unwrap()
    }

    /// Has this level, all these fields, and the text around what varies.
    fn is(&self, kind: &Kind) -> bool {
        let mut rest = &*self.message;
        let has_text = kind.message.split("..").all(|part| {
            let found = rest.split_once(part);
            rest = found.map_or("", |(_, after)| after);
            found.is_some()
        });
        let names = self.fields.iter().map(|(name, _)| name);
        has_text
            && self.level.to_string().to_lowercase() == kind.level
            && names.collect::<BTreeSet<_>>() == kind.fields.iter().collect()
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name.to_owned(), value)),
        }
    }
}

static TOLD: Mutex<Vec<Told>> = Mutex::new(Vec::new());

struct Collect;

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut told);
        TOLD.lock().unwrap().push(told);
    }
}

fn collect() {
    tracing_subscriber::registry().with(Collect).init();
}

/// Waits for an event whose message contains `text`.
#[track_caller]
fn wait_for(text: &str) -> Told {
    let find = || {
        let told = TOLD.lock().unwrap();
        told.iter()
            .find(|told| told.message.contains(text))
            .cloned()
    };
    wait_until(text, || find().is_some());
    find().unwrap()
}

/// Everything that was told is documented.
#[track_caller]
fn assert_documented() {
    let kinds = documented();
    for told in TOLD.lock().unwrap().iter() {
        assert_eq!(told.target, "plimsoll");
        assert!(kinds.iter().any(|kind| told.is(kind)), "{told:?}");
    }
}

#[test]
fn findings_crossings_and_cleanups_are_told_as_documented() {
    const NAME: &str = "findings_crossings_and_cleanups_are_told_as_documented";
    if !alone(NAME, &[("PLIMSOLL_MEMORY_LIMIT", "junk")]) {
        return;
    }
    collect();
    let manager = get_memory_manager();
    let finding = &manager.findings()[0];
    let told = wait_for(&finding.message);
    assert_eq!(told.field("code"), Some(&*format!("{:?}", finding.code)));
    assert_eq!(told.field("severity"), Some("error"));

    let report = manager.force_cleanup();
    let told = wait_for("memory cleanup");
    assert_eq!(told.field("reason"), Some("forced"));
    assert_eq!(told.bytes("returned_bytes"), report.returned_bytes());
    assert_eq!(told.bytes("resident_bytes"), report.after.rss_bytes as i64);
    assert_eq!(told.bytes("took_ms"), report.duration_ms as i64);
    let is_futile = manager.stats().cleanups_futile_total > 0;
    assert_eq!(told.field("is_futile"), Some(&*is_futile.to_string()));

    let limit = MemoryLimit::kib(64).named("crossed");
    let scope = limit.cleanup_on_exceed(false).enter();
    let kept = vec![1u8; 1 << 20];
    assert!(scope.check().is_err());
    drop(kept);
    let told = wait_for(" passed its memory limit of 64.0 KiB: 1.0 MiB held");
    assert_eq!(told.field("site"), Some("\"crossed\""));
    assert_eq!(told.bytes("scope_limit_bytes"), 64 << 10);
    assert!(told.bytes("scope_held_bytes") >= 1 << 20);
    assert_eq!(told.field("scopes"), Some("1"));
    assert_documented();
}

#[test]
fn rises_and_falls_are_told_as_documented() {
    if !alone("rises_and_falls_are_told_as_documented", &[]) {
        return;
    }
    collect();
    let used_bytes = MemoryManager::builder().build().unwrap().usage().used_bytes;
    let limit_bytes = used_bytes + (128 << 20);
    let builder = MemoryManager::builder().limit(ByteSize::bytes(limit_bytes));
    let manager = builder.install().unwrap();
    let held = vec![1u8; 116 << 20];
    let told = wait_for("memory is ");
    assert_eq!(told.level, Level::WARN);
    let levels = [PressureLevel::High, PressureLevel::Critical].map(|level| level.to_string());
    let level = told.field("pressure_level").unwrap();
    assert!(levels.iter().any(|known| known == level), "{told:?}");
    assert_eq!(told.bytes("limit_bytes"), limit_bytes as i64);
    let ratio: f64 = told.field("used_ratio").unwrap().parse().unwrap();
    let expected = told.bytes("used_bytes") as f64 / limit_bytes as f64;
    assert!(ratio > 0.8 && (ratio - expected).abs() < 1e-9, "{told:?}");
    drop(held);
    let told = wait_for("memory is normal again: ");
    assert_eq!(told.level, Level::INFO);
    assert_eq!(told.field("pressure_level"), Some("normal"));
    assert!(told.bytes("used_bytes") < limit_bytes as i64);
    assert_eq!(manager.pressure(), PressureLevel::Normal);
    assert_documented();
}
