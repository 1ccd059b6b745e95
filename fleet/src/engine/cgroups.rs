//! [`Cgroups`]: a directory whose children are cgroups, each a service.

mod directory;
mod limits;

pub(crate) use directory::field;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::actuator::{Actuator, Container, EngineError, LeftOut, Usage, Way};
use crate::engine::cgroups::directory::Directory;
use crate::engine::event::{Event, Happening, now_ns};
use crate::engine::host;

/// Nobody rings when the kernel kills: the counters are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// As with containers.
const PREFIX: &str = "crypto-";

/// A directory of cgroups, version 1 or 2.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    /// Each child, as of the last look; `None`: nobody looked yet.
    looked: Mutex<Option<BTreeMap<String, Look>>>,
    left_out: Mutex<Vec<LeftOut>>,
}

/// What tells of events in one child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    kills: u64,
    processes: BTreeSet<u32>,
}

impl Cgroups {
    /// The children of `root`, as `/sys/fs/cgroup/memory/services` or `/sys/fs/cgroup/services`.
    ///
    /// # Errors
    ///
    /// There is no such directory, or it may not be read.
    pub fn open(root: &Path) -> Result<Cgroups, EngineError> {
        let cgroups = Cgroups {
            root: root.to_owned(),
            looked: Mutex::default(),
            left_out: Mutex::default(),
        };
        cgroups.names()?;
        Ok(cgroups)
    }

    /// Those that count memory.
    fn names(&self) -> Result<Vec<String>, EngineError> {
        let root = self.root.display();
        let away = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                EngineError::NoPermission(format!("{root} can't be read; run this as its owner"))
            }
            _ => EngineError::Away(format!("{root}: {error}; name a directory of cgroups")),
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(away)? {
            let entry = entry.map_err(away)?;
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Some(name) = entry.file_name().to_str()
                && is_directory
                && Directory::open(entry.path()).is_ok()
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn directory(&self, id: &str) -> Result<Directory, EngineError> {
        // A name, no way out of the directory.
        if id.is_empty() || id == "." || id == ".." || id.contains('/') {
            return Err(EngineError::Gone(format!("{id:?} names no child")));
        }
        Directory::open(self.root.join(id))
    }

    /// What happened since the last look; nothing at the first.
    fn look(&self) -> Result<Vec<Event>, EngineError> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeMap::new();
        for name in self.names()? {
            // One that vanishes between two readings has nothing to tell.
            let Ok(directory) = self.directory(&name) else {
                continue;
            };
            let before = looked.as_ref().and_then(|looked| looked.get(&name));
            // What can't be read is as it was: else all its kills were new when it can be read again.
            let before = before.cloned().unwrap_or_default();
            let look = Look {
                kills: directory.oom_kills().unwrap_or(before.kills),
                processes: directory.processes().unwrap_or(before.processes),
            };
            now.insert(name, look);
        }
        let events = match looked.as_ref() {
            Some(before) => changes(before, &now),
            None => Vec::new(),
        };
        *looked = Some(now);
        Ok(events)
    }
}

fn changes(before: &BTreeMap<String, Look>, now: &BTreeMap<String, Look>) -> Vec<Event> {
    let at_ns = now_ns();
    let event = |id: &String, what| Event {
        id: id.clone(),
        at_ns,
        what,
    };
    let mut events = Vec::new();
    for (id, look) in now {
        let earlier = before.get(id);
        // None of the processes is left that were there: the service is another one.
        let is_other = |earlier: &Look| {
            !look.processes.is_empty() && look.processes.is_disjoint(&earlier.processes)
        };
        if earlier.is_none_or(is_other) {
            events.push(event(id, Happening::Started));
        }
        // A count that fell is that of a new directory with the old one's name.
        let counted = earlier.map_or(0, |earlier| earlier.kills);
        if look.kills > counted || (look.kills < counted && look.kills > 0) {
            events.push(event(id, Happening::OomKill));
        }
    }
    let ended = before.keys().filter(|id| !now.contains_key(*id));
    events.extend(ended.map(|id| event(id, Happening::Ended)));
    events
}

impl Actuator for Cgroups {
    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let (mut containers, mut left_out) = (Vec::new(), Vec::new());
        for id in self.names()? {
            let limits = self.directory(&id).and_then(|directory| directory.limits());
            match limits {
                Ok(limits) => containers.push(Container {
                    service: id.strip_prefix(PREFIX).unwrap_or(&id).to_owned(),
                    id,
                    metrics_url: None,
                    limit_bytes: limits.memory_bytes,
                    swap_limit_bytes: limits.with_swap_bytes.flatten(),
                }),
                // Removed since.
                Err(EngineError::Gone(_)) => {}
                Err(error) => {
                    let why = error.to_string();
                    left_out.push(LeftOut { id, why });
                }
            }
        }
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = left_out;
        Ok(containers)
    }

    fn left_out(&self) -> Vec<LeftOut> {
        let left_out = self.left_out.lock();
        left_out.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the directory itself may have, where that is less than the machine's.
    async fn host_bytes(&self) -> Result<Option<u64>, EngineError> {
        let limits = Directory::open(self.root.clone()).and_then(|root| root.limits());
        let limit_bytes = limits.ok().and_then(|limits| limits.memory_bytes);
        Ok(limit_bytes.into_iter().chain(host::machine_bytes()).min())
    }

    async fn usage(&self, id: &str) -> Result<Usage, EngineError> {
        let directory = self.directory(id)?;
        Ok(Usage {
            used_bytes: directory.used_bytes()?,
            limit_bytes: directory.limits()?.memory_bytes,
            oom_kills_total: directory.oom_kills().ok(),
        })
    }

    async fn resize(&self, id: &str, to_bytes: u64, way: Way) -> Result<(), EngineError> {
        let directory = self.directory(id)?;
        // The kernel takes pages back while it writes a lower limit: not on the thread of the loop.
        let write = move || limits::set(&directory, to_bytes, way);
        match tokio::task::spawn_blocking(write).await {
            Ok(written) => written,
            Err(error) => Err(EngineError::Refused(error.to_string())),
        }
    }

    async fn watch(&self, events: &mpsc::Sender<Event>) -> Result<(), EngineError> {
        loop {
            for event in self.look()? {
                if events.send(event).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = events.closed() => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_told_once_and_also_of_one_that_is_new() {
        let before: [(_, _, &[u32]); _] = [
            ("a", 0, &[1]),
            ("b", 2, &[2, 3]),
            ("empty", 0, &[]),
            ("gone", 1, &[4]),
            ("made again", 5, &[5]),
            ("restarted", 1, &[6, 7]),
        ];
        let now: [(_, _, &[u32]); _] = [
            ("a", 1, &[1]),
            ("b", 2, &[3, 8]),
            ("empty", 0, &[]),
            ("made again", 1, &[9]),
            ("new", 1, &[]),
            ("restarted", 1, &[10]),
        ];
        let [before, now] = [&before[..], &now[..]].map(|all| {
            let look = |kills: u64, processes: &[u32]| Look {
                kills,
                processes: processes.iter().copied().collect(),
            };
            let owned = all
                .iter()
                .map(|(id, kills, processes)| (id.to_string(), look(*kills, processes)));
            owned.collect::<BTreeMap<_, _>>()
        });
        let told: Vec<_> = changes(&before, &now)
            .into_iter()
            .map(|event| (event.id, event.what))
            .collect();
        let expected = [
            ("a", Happening::OomKill),
            ("made again", Happening::Started),
            ("made again", Happening::OomKill),
            ("new", Happening::Started),
            ("new", Happening::OomKill),
            ("restarted", Happening::Started),
            ("gone", Happening::Ended),
        ];
        assert_eq!(told, expected.map(|(id, what)| (id.to_owned(), what)));
        assert_eq!(changes(&now, &now), []);
    }

    #[tokio::test]
    async fn one_that_is_sick_hides_no_others() {
        let root = tempfile::TempDir::new().unwrap();
        for (name, limit) in [("crypto-a", "402653184"), ("crypto-b", "a lot")] {
            let child = root.path().join(name);
            std::fs::create_dir(&child).unwrap();
            std::fs::write(child.join("memory.max"), limit).unwrap();
        }
        let cgroups = Cgroups::open(root.path()).unwrap();
        let listed = cgroups.containers().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].id, "crypto-a");
        let left_out = cgroups.left_out();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].id, "crypto-b");
        assert!(left_out[0].why.contains("a lot"), "{left_out:?}");
        std::fs::write(root.path().join("crypto-b/memory.max"), "max").unwrap();
        assert_eq!(cgroups.containers().await.unwrap().len(), 2);
        assert!(cgroups.left_out().is_empty());
    }

    #[tokio::test]
    async fn the_host_has_what_the_directory_may_have() {
        let root = tempfile::TempDir::new().unwrap();
        let machine = host::machine_bytes().unwrap();
        let host_bytes = async || {
            let cgroups = Cgroups::open(root.path()).unwrap();
            cgroups.host_bytes().await.unwrap()
        };
        assert_eq!(host_bytes().await, Some(machine));
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("max", machine),
            ("a lot", machine),
            ("1000000000000000", machine),
        ] {
            std::fs::write(root.path().join("memory.max"), text).unwrap();
            assert_eq!(host_bytes().await, Some(bytes), "{text}");
        }
    }

    #[test]
    fn ids_lead_nowhere_else() {
        let cgroups = Cgroups::open(Path::new("/proc/self")).unwrap();
        for id in ["", ".", "..", "a/b", "/etc"] {
            let error = cgroups.directory(id).unwrap_err();
            assert!(matches!(error, EngineError::Gone(_)), "{id}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Cgroups::open(Path::new("/no/such/place")).unwrap_err();
        assert!(matches!(error, EngineError::Away(_)));
        assert!(error.to_string().contains("/no/such/place"), "{error}");
    }
}
