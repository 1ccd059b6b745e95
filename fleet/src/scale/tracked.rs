//! [`Tracked`]: what the scaler keeps of one container while it runs.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::decide::{Alert, History};
use crate::engine::{Container, LeftOut, Way};
use crate::profile::Policy;

/// One container of a service that the profile knows.
#[derive(Debug)]
pub(super) struct Tracked {
    /// By which its history is kept: the service, or service and container where it has several.
    pub(super) key: String,
    pub(super) metrics_url: Option<String>,
    pub(super) policy: Option<Policy>,
    /// As far as is known; `None`: unlimited.
    pub(super) limit_bytes: Option<u64>,
    /// What the engine says of that, which is not always what is in force.
    pub(super) listed_bytes: Option<u64>,
    /// At the last reading.
    pub(super) used_bytes: Option<u64>,
    /// When the scaler changed it last: a reading that began before knows nothing of that.
    pub(super) changed: Option<Instant>,
    /// What it had before the last change.
    pub(super) before: Option<Before>,
    /// By the engine's clock: engines tell of one kill several times.
    pub(super) killed_at_ns: Option<u64>,
    pub(super) shrinking: Option<Shrinking>,
    /// A cleanup is not asked for again and again in vain.
    pub(super) no_shrink_before: Option<Instant>,
    pub(super) alert: Option<Alert>,
}

/// The limit that was in force until the last change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    /// By the engine's clock.
    pub(super) until_ns: u64,
    /// The same by the scaler's.
    pub(super) until_s: u64,
    pub(super) limit_bytes: u64,
}

/// A limit on its way down.
#[derive(Clone, Debug)]
pub(super) struct Shrinking {
    pub(super) from_bytes: u64,
    pub(super) to_bytes: u64,
    pub(super) reason: String,
    pub(super) is_set: bool,
}

impl Tracked {
    fn new(key: String) -> Tracked {
        Tracked {
            key,
            metrics_url: None,
            policy: None,
            limit_bytes: None,
            listed_bytes: None,
            used_bytes: None,
            changed: None,
            before: None,
            killed_at_ns: None,
            shrinking: None,
            no_shrink_before: None,
            alert: None,
        }
    }

    /// Whether a reading that began then still says something.
    pub(super) fn is_as_it_was(&self, began: Instant) -> bool {
        self.changed.is_none_or(|changed| changed < began)
    }

    /// A change to more. Where the engine has had more in its books all along, and less is in force, nobody has overtaken it.
    pub(super) fn way_up(&self, to_bytes: u64) -> Way {
        match self.listed_bytes.is_some_and(|listed| listed <= to_bytes) {
            true => Way::Up,
            false => Way::Set,
        }
    }

    /// Neither its limit nor its use was ever seen.
    pub(super) fn is_unknown(&self) -> bool {
        self.limit_bytes.or(self.used_bytes).is_none()
    }

    /// What of the host's budget is its: until a lower limit has proved itself, the old one may come back. What has no limit holds
    /// what it uses.
    pub(super) fn held_bytes(&self) -> u64 {
        let limit_bytes = self.limit_bytes.or(self.used_bytes).unwrap_or(0);
        self.shrinking.as_ref().map_or(limit_bytes, |shrinking| {
            limit_bytes.max(shrinking.from_bytes)
        })
    }
}

/// Takes a new list, asked for at `began`: who is gone is forgotten, who is new is known from now on. Limits are as the list says. Who
/// was left out still runs, and holds what it held.
pub(super) fn update(
    tracked: &mut BTreeMap<String, Tracked>,
    containers: &[Container],
    left_out: &[LeftOut],
    policies: &BTreeMap<String, Option<Policy>>,
    began: Instant,
) {
    let listed = containers.iter().map(|container| container.id.as_str());
    let run: BTreeSet<&str> = listed
        .chain(left_out.iter().map(|one| one.id.as_str()))
        .collect();
    tracked.retain(|id, _| run.contains(id.as_str()));
    let mut replicas = BTreeMap::new();
    for container in containers {
        *replicas.entry(container.service.as_str()).or_insert(0) += 1;
    }
    for container in containers {
        let (id, service) = (&container.id, &container.service);
        let Some(policy) = policies.get(service) else {
            continue;
        };
        let key = match replicas.get(service.as_str()) {
            Some(1) | None => service.clone(),
            Some(_) => format!("{service}/{id}"),
        };
        let one = tracked
            .entry(id.clone())
            .or_insert_with(|| Tracked::new(key.clone()));
        one.key = key;
        one.metrics_url.clone_from(&container.metrics_url);
        one.policy.clone_from(policy);
        if one.is_as_it_was(began) {
            one.limit_bytes = container.limit_bytes;
            one.listed_bytes = container.limit_bytes;
        }
    }
}

/// By a key as in [`Tracked`]. A replica that is new goes on from what its service has shown.
pub(super) fn history_of<'a>(
    histories: &'a mut BTreeMap<String, History>,
    key: &str,
    now_s: u64,
) -> &'a mut History {
    if !histories.contains_key(key) {
        let service = key.split_once('/').map_or(key, |(service, _)| service);
        let shown = histories.get(service);
        let history = shown.map_or_else(History::default, |shown| shown.of_replica(now_s));
        histories.insert(key.to_owned(), history);
    }
    histories.entry(key.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, service: &str, limit_bytes: u64) -> Container {
        Container {
            id: id.to_owned(),
            service: service.to_owned(),
            metrics_url: None,
            limit_bytes: Some(limit_bytes),
            swap_limit_bytes: None,
        }
    }

    #[test]
    fn replicas_have_histories_of_their_own() {
        let policies = [("a", None), ("b", None)];
        let policies = policies
            .map(|(name, policy)| (name.to_owned(), policy))
            .into();
        let (mut tracked, began) = (BTreeMap::new(), Instant::now());
        let all = [
            container("a-1", "a", 5),
            container("b-1", "b", 6),
            container("b-2", "b", 7),
            container("c-1", "c", 8),
        ];
        update(&mut tracked, &all, &[], &policies, began);
        let keys: Vec<_> = tracked.values().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["a", "b/b-1", "b/b-2"]);
        tracked.get_mut("a-1").unwrap().alert = Some(Alert::HostFull);
        update(
            &mut tracked,
            &[container("a-1", "a", 9), container("b-2", "b", 7)],
            &[],
            &policies,
            began,
        );
        let keys: Vec<_> = tracked.values().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["a", "b"]);
        let kept = &tracked["a-1"];
        assert_eq!(
            (kept.limit_bytes, kept.alert),
            (Some(9), Some(Alert::HostFull))
        );
        // It runs, and still holds what it had.
        let left_out = [LeftOut {
            id: "a-1".to_owned(),
            why: "no answer".to_owned(),
        }];
        update(&mut tracked, &[], &left_out, &policies, began);
        let kept: Vec<_> = tracked.values().map(|one| one.held_bytes()).collect();
        assert_eq!(kept, [9]);
    }

    #[test]
    fn a_replica_begins_with_the_history_of_its_service() {
        let mut histories = BTreeMap::new();
        history_of(&mut histories, "a", 5).resized(7, 64);
        assert_eq!(*history_of(&mut histories, "b/b-1", 9), History::default());
        let of_service = histories["a"].clone();
        let replica = history_of(&mut histories, "a/a-1", 9);
        assert_eq!(*replica, of_service.of_replica(9));
        // From then on it is its own.
        replica.resized(11, 64);
        let own = replica.clone();
        assert_eq!(*history_of(&mut histories, "a/a-1", 13), own);
        assert_eq!(histories["a"], of_service);
    }

    #[test]
    fn a_reading_from_before_a_change_knows_nothing_of_it() {
        let policies = BTreeMap::from([("a".to_owned(), None)]);
        let (mut tracked, began) = (BTreeMap::new(), Instant::now());
        update(
            &mut tracked,
            &[container("a-1", "a", 5)],
            &[],
            &policies,
            began,
        );
        let one = tracked.get_mut("a-1").unwrap();
        (one.limit_bytes, one.changed) = (Some(9), Some(began));
        update(
            &mut tracked,
            &[container("a-1", "a", 5)],
            &[],
            &policies,
            began,
        );
        assert_eq!(tracked["a-1"].limit_bytes, Some(9));
        let later = began + std::time::Duration::from_millis(1);
        update(
            &mut tracked,
            &[container("a-1", "a", 5)],
            &[],
            &policies,
            later,
        );
        assert_eq!(tracked["a-1"].limit_bytes, Some(5));
    }

    #[test]
    fn what_shrinks_holds_its_old_limit() {
        let mut one = Tracked::new("a".to_owned());
        one.limit_bytes = Some(64);
        assert_eq!(one.held_bytes(), 64);
        one.shrinking = Some(Shrinking {
            from_bytes: 128,
            to_bytes: 64,
            reason: String::new(),
            is_set: true,
        });
        assert_eq!(one.held_bytes(), 128);
    }
}
