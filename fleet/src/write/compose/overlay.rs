//! What has to be said on top of one set of services so that another comes out.

use serde_yaml_ng::{Mapping, Value};

use crate::write::yaml::map;

/// Compose adds to a file by the ones after it, and can't take away: what is not in `other` is not started.
pub(super) fn overlay(base: &Mapping, other: &Mapping) -> Mapping {
    let mut services = Mapping::new();
    for (name, entry) in other {
        let entry = match base.get(name) {
            Some(before) => changes(before, entry),
            None => entry.clone(),
        };
        services.insert(name.clone(), entry);
    }
    for (name, _) in base {
        if !other.contains_key(name) {
            let profiles = Value::from(vec!["production"]);
            services.insert(name.clone(), map([("profiles", profiles)]).into());
        }
    }
    services
}

fn changes(before: &Value, after: &Value) -> Value {
    let (Some(before), Some(after)) = (before.as_mapping(), after.as_mapping()) else {
        return after.clone();
    };
    let mut changed = Mapping::new();
    for (key, value) in after {
        if before.get(key) != Some(value) {
            changed.insert(key.clone(), value.clone());
        }
    }
    for (key, _) in before {
        // What is not said again would stay. A health check does: docker-compose 1.29.2 refuses to switch one off in a file of its own.
        if after.contains_key(key) || key == "healthcheck" {
            continue;
        }
        let none = match key.as_str() {
            Some("environment") => Value::from(Mapping::new()),
            _ => Value::Null,
        };
        changed.insert(key.clone(), none);
    }
    if let Some(Value::Mapping(variables)) = changed.get_mut("environment") {
        let there = before.get("environment").and_then(Value::as_mapping);
        for (name, _) in there.into_iter().flatten() {
            // To the library an empty variable is none.
            variables.entry(name.clone()).or_insert("".into());
        }
    }
    changed.into()
}
