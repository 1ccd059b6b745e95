//! [`State`]: what outlives the scaler, in one JSON file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::decide::History;

/// Of the file; another one starts clean.
const VERSION: u32 = 1;

/// What outlives the scaler.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// Seconds since the epoch; the next run's clock does not begin before.
    pub(super) saved_at_s: u64,
    /// By the engine's clock; what happened later was not told yet. 0: nobody listened.
    #[serde(default)]
    pub(super) last_event_ns: u64,
    pub(super) services: BTreeMap<String, History>,
    /// For people: nothing is decided by it.
    #[serde(default)]
    pub(super) changes: BTreeMap<String, Change>,
}

/// As [`State`], of what the scaler has: thousands of histories are not copied to be written.
#[derive(Debug, Serialize)]
pub(super) struct Kept<'a> {
    version: u32,
    pub(super) saved_at_s: u64,
    pub(super) last_event_ns: u64,
    pub(super) services: &'a BTreeMap<String, History>,
    pub(super) changes: &'a BTreeMap<String, Change>,
}

/// The last change of a service's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Seconds since the epoch, by the scaler's clock, which never goes back.
    pub(crate) at_s: u64,
    /// The same by the engine's clock, to compare with what it tells. 0: not known.
    #[serde(default)]
    pub(crate) at_ns: u64,
    pub(crate) from_bytes: u64,
    pub(crate) to_bytes: u64,
}

/// What was found, for the note.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// Of so many services.
    Histories(usize),
    /// Why it can't be used; it was moved to that name, if it may be.
    Broken(String, Option<PathBuf>),
}

/// Held as long as the scaler runs: two of them would undo each other's work.
#[derive(Debug)]
pub(super) struct Claim {
    _lock: File,
}

/// `None`: somebody else has it.
pub(super) fn claim(path: &Path) -> io::Result<Option<Claim>> {
    let lock = File::create(beside(path, ".lock"))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Claim { _lock: lock })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl State {
    pub(super) fn new() -> State {
        State {
            version: VERSION,
            ..State::default()
        }
    }

    /// What is no state of ours is moved aside, not overwritten: somebody may have named another file by mistake.
    ///
    /// # Errors
    ///
    /// There is a file, and it can't be read or moved.
    pub(super) fn load(path: &Path, may_move: bool) -> io::Result<(State, Found)> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((State::new(), Found::Nothing));
            }
            Err(error) => return Err(error),
        };
        let why = match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.version == VERSION => {
                let found = Found::Histories(state.services.len());
                return Ok((state, found));
            }
            Ok(other) => format!("it is of version {}, not {VERSION}", other.version),
            Err(error) => error.to_string(),
        };
        let aside = may_move.then(|| unused(path));
        if let Some(aside) = &aside {
            fs::rename(path, aside)?;
        }
        Ok((State::new(), Found::Broken(why, aside)))
    }

    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut kept = Kept::new(&self.services, &self.changes);
        (kept.saved_at_s, kept.last_event_ns) = (self.saved_at_s, self.last_event_ns);
        kept.save(path)
    }
}

impl<'a> Kept<'a> {
    pub(super) fn new(
        services: &'a BTreeMap<String, History>,
        changes: &'a BTreeMap<String, Change>,
    ) -> Kept<'a> {
        Kept {
            version: VERSION,
            saved_at_s: 0,
            last_event_ns: 0,
            services,
            changes,
        }
    }

    /// All or nothing, also when the power fails.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let draft = beside(path, ".new");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// The last change of each service; none where there is no such file, or it is no state of ours: only who owns it says so.
pub(crate) fn last_changes(path: &Path) -> BTreeMap<String, Change> {
    let bytes = fs::read(path).unwrap_or_default();
    let state = serde_json::from_slice::<State>(&bytes).ok();
    let state = state.filter(|state| state.version == VERSION);
    state.map(|state| state.changes).unwrap_or_default()
}

/// The first name that nobody has: what was moved aside earlier stays. No other scaler chooses at the same time.
fn unused(path: &Path) -> PathBuf {
    let mut name = beside(path, ".broken");
    for number in 2_u64.. {
        if !name.exists() {
            break;
        }
        name = beside(path, &format!(".broken.{number}"));
    }
    name
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_saved_comes_back() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        assert_eq!(State::load(&path, true).unwrap().1, Found::Nothing);
        let mut state = State::new();
        state.saved_at_s = 77;
        let mut history = History::default();
        history.killed(5, 64 << 20);
        state.services.insert("fusion".to_owned(), history.clone());
        let change = Change {
            at_s: 70,
            at_ns: 7_000_000_000,
            from_bytes: 1,
            to_bytes: 2,
        };
        state.changes.insert("fusion".to_owned(), change);
        assert_eq!(last_changes(&path), BTreeMap::new());
        for _ in 0..2 {
            state.save(&path).unwrap();
        }
        assert_eq!(
            last_changes(&path),
            BTreeMap::from([("fusion".to_owned(), change)])
        );
        let (loaded, found) = State::load(&path, true).unwrap();
        assert_eq!((loaded.saved_at_s, found), (77, Found::Histories(1)));
        let json = |history: &History| serde_json::to_string(history).unwrap();
        assert_eq!(json(&loaded.services["fusion"]), json(&history));
        // No draft stays behind.
        assert_eq!(names(&folder), ["state.json"]);
    }

    #[test]
    fn two_at_once_are_one_too_many() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        let first = claim(&path).unwrap();
        assert!(first.is_some());
        assert!(claim(&path).unwrap().is_none());
        drop(first);
        assert!(claim(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_no_state_is_moved_aside() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        let future = r#"{"version":2,"saved_at_s":1,"services":{}}"#;
        for text in ["", "{", "[]", "a diary", future] {
            fs::write(&path, text).unwrap();
            assert_eq!(last_changes(&path), BTreeMap::new());
            let (state, found) = State::load(&path, false).unwrap();
            assert!(state.services.is_empty());
            assert!(matches!(found, Found::Broken(_, None)), "{found:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            let (state, found) = State::load(&path, true).unwrap();
            assert!(state.services.is_empty());
            let Found::Broken(_, Some(aside)) = found else {
                panic!("{text}: {found:?}");
            };
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
            assert!(!path.exists());
        }
        // Each of them is still there.
        assert_eq!(names(&folder).len(), 5);
        fs::create_dir(&path).unwrap();
        State::load(&path, true).unwrap_err();
        State::new()
            .save(&folder.path().join("no/such/folder"))
            .unwrap_err();
    }
}
