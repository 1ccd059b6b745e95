//! Everything that is held open to take a [`Usage`] at any time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Usage;
use super::limit::{Bound, Bounds, CgroupVersion, Limit, LimitSource};
use crate::reading::cgroup::{Cgroup, Level, LimitFact, LimitFile};
use crate::reading::heap::HeapReading;
use crate::reading::host::{Host, HostMemory};
use crate::reading::process::{Process, SlowProcessMemory};
use crate::sys::lock::{Mutex, RwLock};
use crate::sys::rusage;

/// The cgroup is resolved from scratch this often even when nothing seems to have changed: that finds a controller enabled
/// later, or a file that could not be opened for want of descriptors.
const RESOLVE_AGAIN: Duration = Duration::from_secs(60);

/// A limit that a person set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitSetting {
    pub(crate) bytes: u64,
    pub(crate) source: LimitSource,
}

/// Where a cgroup is, and what of its charge does not count as used.
#[cfg(target_os = "linux")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupPlace {
    pub(crate) dir: PathBuf,
    pub(crate) version: CgroupVersion,
    pub(crate) reclaimable_bytes: Option<u64>,
}

/// The instruments of one process. Reading them takes a shared lock that is held exclusively only to swap new slow facts
/// in; a forked child needs a gauge of its own.
pub(crate) struct Gauge {
    root: PathBuf,
    setting: Option<LimitSetting>,
    process: Process,
    state: RwLock<State>,
    refreshing: Mutex<Scratch>,
}

struct State {
    cgroup: Cgroup,
    resolved: Instant,
    slow: SlowFacts,
}

/// What is read together, and not at every call.
#[derive(Clone, Copy)]
struct SlowFacts {
    taken: Instant,
    host: HostMemory,
    process: SlowProcessMemory,
    heap: Option<HeapReading>,
}

/// Buffers that a refresh uses again.
struct Scratch {
    host: Host,
    text: Vec<u8>,
}

impl Gauge {
    /// Opens the instruments below `root` (`/` but in tests) and reads everything once.
    pub(crate) fn open(root: &Path, setting: Option<LimitSetting>) -> Self {
        let mut scratch = Scratch {
            host: Host::new(),
            text: Vec::new(),
        };
        let process = Process::open(root);
        let slow = SlowFacts::take(&process, &mut scratch);
        let cgroup = Cgroup::resolve(root, slow.host.total_bytes);
        Gauge {
            root: root.to_owned(),
            setting,
            process,
            state: RwLock::new(State {
                cgroup,
                resolved: slow.taken,
                slow,
            }),
            refreshing: Mutex::new(scratch),
        }
    }

    /// The same instruments, opened anew: what a forked child uses.
    pub(crate) fn reopen(&self) -> Self {
        Gauge::open(&self.root, self.setting)
    }

    /// Takes the slow facts anew if they are older than `at_most_old`. Of younger ones only the page caches: they can shrink by all that the
    /// process grows while the charge stands still. Callers that wait for another's refresh share it.
    pub(crate) fn refresh(&self, at_most_old: Duration) {
        let asked = Instant::now();
        let since = asked.checked_sub(at_most_old).unwrap_or(asked);
        let scratch = &mut *self.refreshing.lock();
        {
            let state = self.state.read();
            if state.slow.can_do_since(since) && state.cgroup.refresh_caches(&mut scratch.text) {
                return;
            }
        }
        let slow = SlowFacts::take(&self.process, scratch);
        let stale = {
            let state = self.state.read();
            state.cgroup.membership_changed(&mut scratch.text)
                || !state.cgroup.refresh(&mut scratch.text)
                || slow.taken.duration_since(state.resolved) >= RESOLVE_AGAIN
        };
        let cgroup = stale.then(|| Cgroup::resolve(&self.root, slow.host.total_bytes));
        let replaced = {
            let mut state = self.state.write();
            state.slow = slow;
            cgroup.map(|cgroup| {
                state.resolved = slow.taken;
                std::mem::replace(&mut state.cgroup, cgroup)
            })
        };
        // Closing its descriptors is no work to do under the lock.
        drop(replaced);
    }

    /// The picture now. Allocates nothing; one `pread` for the process and one per cgroup level that has a limit.
    pub(crate) fn usage(&self) -> Usage {
        let state = self.state.read();
        let slow = state.slow;
        let process = self.process.fresh();
        let (heap, unused_bytes) = slow.heap.map(|heap| heap.fresh(process)).unzip();

        let known_peak = slow.process.peak_rss_bytes.unwrap_or(0);
        let rss_bytes = process.map_or_else(
            || rusage::peak_rss_bytes().unwrap_or(known_peak),
            |process| process.rss_bytes,
        );
        let own_bytes = rss_bytes.saturating_add(slow.process.swap_bytes.unwrap_or(0));
        let bounds = bounds(self.setting, &state.cgroup, slow.host, own_bytes);
        let taken = slow.taken;
        drop(state);

        let tightest = bounds.tightest;
        Usage {
            rss_bytes,
            virtual_bytes: process.map(|process| process.virtual_bytes),
            swap_bytes: slow.process.swap_bytes,
            peak_rss_bytes: known_peak.max(rss_bytes),
            used_bytes: tightest.map_or(own_bytes, |bound| bound.used_bytes),
            heap,
            limit: tightest.map_or(Limit::UNKNOWN, |bound| Limit {
                bytes: Some(bound.limit_bytes),
                source: bound.source,
            }),
            binding: bounds.binding,
            all_limits_known: bounds.all_known,
            system_total_bytes: slow.host.total_bytes,
            system_available_bytes: slow.host.available_bytes,
            slow_facts_age_ms: taken.elapsed().as_millis() as u64,
            unused_bytes: unused_bytes.unwrap_or(0),
        }
    }

    /// The path of the cgroup `ancestor` levels up, for people.
    pub(crate) fn cgroup_path(&self, ancestor: u8) -> Option<String> {
        let state = self.state.read();
        let mut levels = state.cgroup.levels().iter();
        levels
            .find(|level| level.ancestor() == ancestor)
            .map(|level| level.path().to_owned())
    }

    /// Where the cgroup `ancestor` levels up is, if memory is charged to it.
    #[cfg(target_os = "linux")]
    pub(crate) fn cgroup_place(&self, ancestor: u8) -> Option<CgroupPlace> {
        let state = self.state.read();
        let mut levels = state.cgroup.levels().iter();
        let level = levels.find(|level| level.ancestor() == ancestor)?;
        Some(CgroupPlace {
            dir: level.charged_dir()?.to_owned(),
            version: if level.is_v2() {
                CgroupVersion::V2
            } else {
                CgroupVersion::V1
            },
            reclaimable_bytes: level.reclaimable_bytes(),
        })
    }

    /// What could not be read, in words.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self
            .state
            .read()
            .cgroup
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect();
        if self.process.fresh().is_none() {
            problems.push("this process's memory can't be read (/proc/self/statm)".to_owned());
        }
        problems
    }

    /// Memory of the machine, if known.
    pub(crate) fn host_total_bytes(&self) -> Option<u64> {
        self.state.read().slow.host.total_bytes
    }
}

impl SlowFacts {
    /// Whether they are from after `since`, and what changes faster can be told beside them.
    fn can_do_since(&self, since: Instant) -> bool {
        self.taken >= since && self.heap.is_none_or(|heap| heap.can_reckon())
    }

    fn take(process: &Process, scratch: &mut Scratch) -> Self {
        SlowFacts {
            taken: Instant::now(),
            host: scratch.host.read(),
            process: process.slow(&mut scratch.text),
            heap: HeapReading::take(|| process.fresh()),
        }
    }
}

/// All limits that hold now. The machine counts as one only when nothing else limits, and only when every cgroup level is
/// known to have no limit: unknown is not unlimited.
fn bounds(
    setting: Option<LimitSetting>,
    cgroup: &Cgroup,
    host: HostMemory,
    own_bytes: u64,
) -> Bounds {
    let mut bounds = Bounds::NONE;
    if let Some(setting) = setting {
        bounds.add(Bound {
            limit_bytes: setting.bytes.min(host.total_bytes.unwrap_or(u64::MAX)),
            used_bytes: own_bytes,
            source: setting.source,
        });
    }
    for level in cgroup.levels() {
        let reading = level.read();
        match (reading.limit, reading.used_bytes()) {
            (LimitFact::Bytes { bytes, file }, Some(used_bytes)) => bounds.add(Bound {
                limit_bytes: bytes,
                used_bytes,
                source: source(level, file),
            }),
            (LimitFact::None, _) => {}
            // Its limit holds, whatever the kernel charges to it: at least what this process itself uses.
            (LimitFact::Bytes { bytes, file }, None) => {
                bounds.add(Bound {
                    limit_bytes: bytes,
                    used_bytes: own_bytes,
                    source: source(level, file),
                });
                bounds.all_known = false;
            }
            (LimitFact::Unknown, _) => bounds.all_known = false,
        }
    }
    if let (None, true, Some(limit_bytes)) = (bounds.tightest, bounds.all_known, host.total_bytes) {
        bounds.add(Bound {
            limit_bytes,
            used_bytes: own_bytes,
            source: LimitSource::Host,
        });
    }
    bounds
}

fn source(level: &Level, file: LimitFile) -> LimitSource {
    LimitSource::Cgroup {
        version: match file {
            LimitFile::V2Max | LimitFile::V2High => CgroupVersion::V2,
            LimitFile::V1Limit | LimitFile::V1Hierarchical => CgroupVersion::V1,
        },
        file: file.name(),
        ancestor: level.ancestor(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
