//! What the machine has.

use sysinfo::{MemoryRefreshKind, System};

/// The host's memory. Inside a container this is the machine's, not the container's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostMemory {
    pub(crate) total_bytes: Option<u64>,
    /// What can be had without swapping. Linux: `MemAvailable`.
    pub(crate) available_bytes: Option<u64>,
}

/// Reads the host's memory through sysinfo, whose buffers it keeps.
pub(crate) struct Host {
    /// `None` on a platform that sysinfo does not know.
    system: Option<System>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Host {
            system: System::new().ok(),
        }
    }

    pub(crate) fn read(&mut self) -> HostMemory {
        let Some(system) = &mut self.system else {
            return HostMemory::default();
        };
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        // sysinfo says 0 where it does not know.
        let total_bytes = Some(system.total_memory()).filter(|&bytes| bytes > 0);
        HostMemory {
            total_bytes,
            available_bytes: total_bytes.map(|_| system.available_memory()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_memory_is_available() {
        let host = Host::new().read();
        let (total, available) = (host.total_bytes.unwrap(), host.available_bytes.unwrap());
        assert!(available > 0 && available < total, "{host:?}");
    }
}
