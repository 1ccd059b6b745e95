//! What the feed says, in JSON: the hour as rows, and the present with all that is not kept.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::explain::Finding;
use crate::telemetry::page::frame::{Cleanups, FIELDS, Frame};
use crate::telemetry::page::ring::Ring;
use crate::telemetry::{HookSample, SiteSample, Snapshot, Value};

/// The last column of a row.
const CLEANUPS: &str = "cleanups";

/// `{"may_clean":false,"fields":["t","used",..],"rows":[[..],..]}`, oldest first.
pub(super) fn history(ring: &Ring, may_clean: bool) -> serde_json::Result<String> {
    serde_json::to_string(&History { ring, may_clean })
}

/// The frame by its fields' names, and what is not kept: lines, scopes, hooks, findings.
pub(super) fn now(frame: &Frame, snapshot: &Snapshot) -> serde_json::Result<String> {
    serde_json::to_string(&Now { frame, snapshot })
}

struct History<'a> {
    ring: &'a Ring,
    may_clean: bool,
}
struct Names;
struct Rows<'a>(&'a Ring);
struct Row<'a>(&'a Frame);
struct Number(Option<Value>);
struct Marks<'a>(&'a Cleanups);

struct Now<'a> {
    frame: &'a Frame,
    snapshot: &'a Snapshot,
}

impl Serialize for History<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("may_clean", &self.may_clean)?;
        map.serialize_entry("fields", &Names)?;
        map.serialize_entry("rows", &Rows(self.ring))?;
        map.end()
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = FIELDS.iter().map(|(name, _)| *name);
        serializer.collect_seq(names.chain([CLEANUPS]))
    }
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.frames().map(Row))
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_seq(Some(FIELDS.len() + 1))?;
        for (_, read) in FIELDS {
            row.serialize_element(&Number(read(self.0)))?;
        }
        row.serialize_element(&self.0.cleanups.as_ref().map(Marks))?;
        row.end()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(Value::U64(value)) => serializer.serialize_u64(value),
            Some(Value::F64(value)) => serializer.serialize_f64(value),
        }
    }
}

impl Serialize for Marks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Cleanups {
            t_ms,
            count,
            futile,
            returned_bytes,
            reason,
            took_ms,
        } = *self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("t", &(t_ms as f64 / 1000.0))?;
        map.serialize_entry("count", &count)?;
        map.serialize_entry("futile", &futile)?;
        map.serialize_entry("returned", &returned_bytes)?;
        map.serialize_entry("reason", &reason.map(|reason| reason.to_string()))?;
        map.serialize_entry("took_ms", &took_ms)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Lines {
    elevated: f64,
    high: f64,
    critical: f64,
}

#[derive(Serialize)]
struct Site<'a> {
    site: &'a str,
    limit: Option<u64>,
    held: Option<u64>,
    peak: Option<u64>,
    calls: u64,
    exceeded: u64,
}

#[derive(Serialize)]
struct Hook<'a> {
    name: &'a str,
    reclaimable: Option<u64>,
    freed: Option<u64>,
    calls: u64,
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    severity: String,
    message: &'a str,
    advice: &'a str,
}

impl Serialize for Now<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stats = self.snapshot.stats();
        let mut map = serializer.serialize_map(None)?;
        for (name, read) in FIELDS {
            map.serialize_entry(name, &Number(read(self.frame)))?;
        }
        map.serialize_entry(CLEANUPS, &self.frame.cleanups.as_ref().map(Marks))?;
        map.serialize_entry(
            "lines",
            &Lines {
                elevated: stats.elevated_percent,
                high: stats.max_memory_percent,
                critical: stats.critical_percent,
            },
        )?;
        let usage = &stats.usage;
        let source = usage
            .binding
            .map_or(usage.limit.source, |bound| bound.source);
        map.serialize_entry("limit_source", &source.to_string())?;
        let sites = self.snapshot.top_sites.iter().map(site);
        map.serialize_entry("scopes", &sites.collect::<Vec<_>>())?;
        let hooks = self.snapshot.hooks().iter().map(hook);
        map.serialize_entry("hooks", &hooks.collect::<Vec<_>>())?;
        let findings = self.snapshot.findings().iter().map(told);
        map.serialize_entry("findings", &findings.collect::<Vec<_>>())?;
        let age_s = stats.usage.slow_facts_age_ms as f64 / 1e3 + self.snapshot.age().as_secs_f64();
        map.serialize_entry("reading_age_s", &age_s)?;
        map.end()
    }
}

fn site(sample: &SiteSample) -> Site<'_> {
    Site {
        site: &sample.site,
        limit: sample.limit_bytes,
        held: sample.held_bytes,
        peak: sample.peak_bytes,
        calls: sample.calls_total,
        exceeded: sample.exceeded_total,
    }
}

fn hook(sample: &HookSample) -> Hook<'_> {
    Hook {
        name: &sample.hook,
        reclaimable: sample.reclaimable_bytes,
        freed: sample.freed_bytes_total,
        calls: sample.calls_total,
    }
}

fn told(finding: &Finding) -> Told<'_> {
    Told {
        code: finding.code,
        severity: finding.severity.to_string(),
        message: &finding.message,
        advice: &finding.advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::page::frame::tests::frame;
    use serde_json::Value as Json;

    #[test]
    fn a_row_has_a_value_for_each_name_and_unknown_is_null() {
        let mut ring = Ring::new();
        ring.push(Frame {
            heap: None,
            limit_bytes: None,
            time_to_limit_ms: Some(2540),
            ..frame(1_700_000_000, 77)
        });
        let told: Json = serde_json::from_str(&history(&ring, true).unwrap()).unwrap();
        let (fields, rows) = (&told["fields"], &told["rows"]);
        assert_eq!(rows.as_array().unwrap().len(), 1);
        assert_eq!(told["may_clean"], true);
        let value = |name: &str| {
            let mut names = fields.as_array().unwrap().iter();
            &rows[0][names.position(|field| field == name).unwrap()]
        };
        assert_eq!(
            rows[0].as_array().unwrap().len(),
            fields.as_array().unwrap().len()
        );
        assert_eq!(value("t"), 1_700_000_000.0);
        assert_eq!(value("used"), 77);
        assert_eq!(value("time_to_limit_s"), 2.5);
        for unknown in ["limit", "allocated", "active", "psi_some", "cleanups"] {
            assert!(value(unknown).is_null(), "{unknown}");
        }
    }

    #[test]
    fn the_present_is_one_line_whatever_the_names_are() {
        let frame = Frame {
            cleanups: Some(Cleanups {
                t_ms: 1500,
                count: 3,
                futile: 1,
                returned_bytes: 9,
                reason: None,
                took_ms: 4,
            }),
            ..frame(1, 1)
        };
        let stats = crate::manager::MemoryManager::builder()
            .build()
            .unwrap()
            .stats();
        let name = "a\nb\r\u{2028}</script>\"";
        let mut snapshot = Snapshot::of(stats, vec![(name.to_owned(), Some(5))]);
        snapshot.top_sites = (0..20)
            .map(|n| SiteSample {
                site: n.to_string(),
                ..SiteSample::default()
            })
            .collect();
        snapshot.findings = vec![Finding {
            code: "x",
            severity: crate::explain::Severity::Warning,
            message: "m\n".to_owned(),
            advice: String::new(),
        }];
        let text = now(&frame, &snapshot).unwrap();
        assert!(!text.contains(['\n', '\r']));
        let told: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(told["hooks"][0]["reclaimable"], 5);
        assert!(told["hooks"][0]["freed"].is_null());
        assert_eq!(told["scopes"].as_array().unwrap().len(), 20);
        assert!(told["scopes"][0]["peak"].is_null());
        assert_eq!(told["findings"][0]["severity"], "warning");
        assert_eq!(told["cleanups"]["count"], 3);
        assert_eq!(told["cleanups"]["t"], 1.5);
        assert_eq!(told["lines"]["high"], 80.0);
        assert!(told["reading_age_s"].is_number());
    }
}
