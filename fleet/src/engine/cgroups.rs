//! [`Cgroups`]: a directory whose children are cgroups, each a service.

mod directory;
mod limits;

pub(crate) use directory::field;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::engine::actuator::{Actuator, Container, EngineError, Usage};
use crate::engine::cgroups::directory::Directory;
use crate::engine::event::{Event, Happening};

/// Nobody rings when the kernel kills: the counters are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// As with containers.
const PREFIX: &str = "crypto-";

/// A directory of cgroups, version 1 or 2.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    /// Of each child, as of the last look; `None`: nobody looked yet.
    kills: Mutex<Option<BTreeMap<String, u64>>>,
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
            kills: Mutex::new(None),
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
        let mut now = BTreeMap::new();
        for name in self.names()? {
            // One that vanishes between two readings has nothing to tell.
            if let Ok(directory) = self.directory(&name) {
                now.insert(name, directory.oom_kills().unwrap_or(0));
            }
        }
        let mut kills = self.kills.lock().unwrap_or_else(PoisonError::into_inner);
        let events = match kills.as_ref() {
            Some(before) => changes(before, &now),
            None => Vec::new(),
        };
        *kills = Some(now);
        Ok(events)
    }
}

fn changes(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<Event> {
    let event = |id: &String, what| Event {
        id: id.clone(),
        what,
    };
    let mut events = Vec::new();
    for (id, kills) in now {
        if !before.contains_key(id) {
            events.push(event(id, Happening::Started));
        }
        if *kills > before.get(id).copied().unwrap_or(0) {
            events.push(event(id, Happening::OomKill));
        }
    }
    let ended = before.keys().filter(|id| !now.contains_key(*id));
    events.extend(ended.map(|id| event(id, Happening::Ended)));
    events
}

impl Actuator for Cgroups {
    async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let mut containers = Vec::new();
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
                Err(error) => return Err(error),
            }
        }
        Ok(containers)
    }

    async fn usage(&self, id: &str) -> Result<Usage, EngineError> {
        let directory = self.directory(id)?;
        Ok(Usage {
            used_bytes: directory.used_bytes()?,
            limit_bytes: directory.limits()?.memory_bytes,
            oom_kills_total: directory.oom_kills().ok(),
        })
    }

    async fn resize(&self, id: &str, to_bytes: u64, _: Option<u64>) -> Result<(), EngineError> {
        let directory = self.directory(id)?;
        // The kernel takes pages back while it writes a lower limit: not on the thread of the loop.
        let write = move || limits::set(&directory, to_bytes);
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
        let before = [("a", 0), ("b", 2), ("gone", 1)];
        let now = [("a", 1), ("b", 2), ("new", 1)];
        let [before, now] = [&before[..], &now[..]].map(|all| {
            let owned = all.iter().map(|(id, kills)| (id.to_string(), *kills));
            owned.collect::<BTreeMap<_, _>>()
        });
        let told: Vec<_> = changes(&before, &now)
            .into_iter()
            .map(|event| (event.id, event.what))
            .collect();
        let expected = [
            ("a", Happening::OomKill),
            ("new", Happening::Started),
            ("new", Happening::OomKill),
            ("gone", Happening::Ended),
        ];
        assert_eq!(told, expected.map(|(id, what)| (id.to_owned(), what)));
        assert_eq!(changes(&now, &now), []);
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
