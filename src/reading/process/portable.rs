//! The process through sysinfo, where there is no `/proc`: everything is as fresh as the last tick.

use std::path::Path;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::{ProcessMemory, SlowProcessMemory};
use crate::sys::lock::Mutex;

/// A reading that may be taken inside the allocator: there is none here.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Statm;

#[cfg(not(target_os = "linux"))]
impl Statm {
    pub(crate) fn open(_root: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn read(&self) -> Option<ProcessMemory> {
        None
    }
}

/// This process's memory.
pub(crate) struct Process {
    system: Mutex<Option<System>>,
    pid: Option<Pid>,
    last: Mutex<Option<ProcessMemory>>,
}

impl Process {
    /// Never fails; an unsupported platform stays unknown. There is no other root to read from.
    pub(crate) fn open(_root: &Path) -> Self {
        Process {
            system: Mutex::new(System::new().ok()),
            pid: sysinfo::get_current_pid().ok(),
            last: Mutex::new(None),
        }
    }

    /// The figures of the last [`slow`](Self::slow): a refresh costs too much for every call.
    pub(crate) fn fresh(&self) -> Option<ProcessMemory> {
        *self.last.lock()
    }

    /// Refreshes. sysinfo knows neither peak nor swap of a process.
    pub(crate) fn slow(&self, _scratch: &mut Vec<u8>) -> SlowProcessMemory {
        let mut system = self.system.lock();
        let read = self.pid.zip(system.as_mut()).and_then(|(pid, system)| {
            system.refresh_processes_specifics(
                ProcessesToUpdate::Some(&[pid]),
                false,
                ProcessRefreshKind::nothing().with_memory(),
            );
            let process = system.process(pid)?;
            Some(ProcessMemory {
                rss_bytes: process.memory(),
                anonymous_bytes: None,
                virtual_bytes: process.virtual_memory(),
            })
        });
        *self.last.lock() = read;
        SlowProcessMemory::default()
    }
}
