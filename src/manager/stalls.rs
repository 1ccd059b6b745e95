//! [`Stalls`]: how long tasks of the own cgroup have waited for memory.

use crate::usage::Gauge;

/// Since the cgroup was made; unknown where the kernel does not count per cgroup (version 1, `psi=0`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stalls {
    /// While at least one task waited.
    pub(crate) some_us: Option<u64>,
    /// While all waited that had something to do.
    pub(crate) full_us: Option<u64>,
}

impl Stalls {
    /// Opens and reads one small file.
    #[cfg(target_os = "linux")]
    pub(super) fn now(gauge: &Gauge) -> Stalls {
        use crate::usage::CgroupVersion;

        let own = gauge.cgroup_place(0);
        own.filter(|own| own.version == CgroupVersion::V2)
            .map_or_else(Stalls::default, |own| Stalls::of(&own.dir))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn now(_gauge: &Gauge) -> Stalls {
        Stalls::default()
    }

    #[cfg(target_os = "linux")]
    fn of(dir: &std::path::Path) -> Stalls {
        use crate::reading::psi::{Who, total_us};

        let Ok(text) = std::fs::read(dir.join("memory.pressure")) else {
            return Stalls::default();
        };
        Stalls {
            some_us: total_us(&text, Who::Some),
            full_us: total_us(&text, Who::Full),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_and_unknown_without_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Stalls::of(dir.path()), Stalls::default());
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        std::fs::write(dir.path().join("memory.pressure"), text).unwrap();
        let stalls = Stalls::of(dir.path());
        assert_eq!((stalls.some_us, stalls.full_us), (Some(1_500_000), Some(7)));
    }
}
