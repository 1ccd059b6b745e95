//! `/proc/self`, through descriptors that stay open. They belong to the process that opened them: a forked child opens its own.

use std::path::Path;

use super::{ProcessMemory, SlowProcessMemory};
use crate::reading::held::HeldFile;

/// Longer than `statm` ever is: seven numbers of at most 20 digits.
const STATM_BYTES: usize = 160;

/// `/proc/self/statm`, held open.
pub(crate) struct Statm {
    file: HeldFile,
    page_bytes: u64,
}

impl Statm {
    /// `None` when it can't be opened.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        Some(Statm {
            file: HeldFile::open(&root.join("proc/self/statm")).ok()?,
            page_bytes: rustix::param::page_size() as u64,
        })
    }

    /// One `pread` (about 1 us), and neither an allocation nor a lock of ours: may be called inside the allocator. Kernels from 6.2
    /// sum per-CPU batches here: up to a few hundred KiB off on two processors, a few dozen MiB on very many.
    pub(crate) fn read(&self) -> Option<ProcessMemory> {
        let mut buffer = [0; STATM_BYTES];
        parse_statm(self.file.read_once(&mut buffer).ok()?, self.page_bytes)
    }
}

/// This process's memory.
pub(crate) struct Process {
    statm: Option<Statm>,
    status: Option<HeldFile>,
}

impl Process {
    /// Opens what it can; what it can't open stays unknown.
    pub(crate) fn open(root: &Path) -> Self {
        Process {
            statm: Statm::open(root),
            status: HeldFile::open(&root.join("proc/self/status")).ok(),
        }
    }

    pub(crate) fn fresh(&self) -> Option<ProcessMemory> {
        self.statm.as_ref()?.read()
    }

    /// `VmHWM` and `VmSwap` of `status` (about 8 us).
    pub(crate) fn slow(&self, scratch: &mut Vec<u8>) -> SlowProcessMemory {
        let read = self
            .status
            .as_ref()
            .is_some_and(|status| status.read_to_vec(scratch).is_ok());
        if read {
            parse_status(scratch)
        } else {
            SlowProcessMemory::default()
        }
    }
}

fn parse_statm(text: &[u8], page_bytes: u64) -> Option<ProcessMemory> {
    let mut pages = std::str::from_utf8(text)
        .ok()?
        .split_ascii_whitespace()
        .map(str::parse::<u64>);
    let virtual_pages = pages.next()?.ok()?;
    let rss_pages = pages.next()?.ok()?;
    let mapped_pages = pages.next()?.ok()?;
    Some(ProcessMemory {
        rss_bytes: rss_pages.checked_mul(page_bytes)?,
        anonymous_bytes: rss_pages
            .saturating_sub(mapped_pages)
            .checked_mul(page_bytes),
        virtual_bytes: virtual_pages.checked_mul(page_bytes)?,
    })
}

fn parse_status(text: &[u8]) -> SlowProcessMemory {
    let kib = |key: &str| {
        text.split(|&byte| byte == b'\n')
            .filter_map(|line| std::str::from_utf8(line).ok())
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .find_map(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .and_then(|kib| kib.checked_mul(1024))
    };
    SlowProcessMemory {
        peak_rss_bytes: kib("VmHWM"),
        swap_bytes: kib("VmSwap"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::portable;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statm_is_pages_and_status_is_kib() {
        let table: [(&[u8], _); 6] = [
            (
                b"25041 1511 1187 218 0 1010 0\n",
                Some(ProcessMemory {
                    rss_bytes: 1511 * 4096,
                    anonymous_bytes: Some(324 * 4096),
                    virtual_bytes: 25041 * 4096,
                }),
            ),
            (b"25041\n", None),
            (b"", None),
            (b"a b\n", None),
            (b"25041 1511\n", None),
            (b"1 18446744073709551615 0", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_statm(text, 4096), expected);
        }
        let status = b"Name:\tVmHWM: 9 kB\nVmHWM:\t    1796 kB\nVmSwap:\t       0 kB\n";
        assert_eq!(
            parse_status(status),
            SlowProcessMemory {
                peak_rss_bytes: Some(1796 << 10),
                swap_bytes: Some(0)
            }
        );
        assert_eq!(
            parse_status(b"VmHWM: many kB"),
            SlowProcessMemory::default()
        );
    }

    #[test]
    fn agrees_with_sysinfo_about_this_process() {
        let ours = Process::open(Path::new("/"));
        let theirs = portable::Process::open(Path::new("/"));
        let slow = ours.slow(&mut Vec::new());
        theirs.slow(&mut Vec::new());
        let (ours, theirs) = (ours.fresh().unwrap(), theirs.fresh().unwrap());
        let near = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 4;
        assert!(
            near(ours.rss_bytes, theirs.rss_bytes),
            "{ours:?} {theirs:?}"
        );
        assert!(
            near(ours.virtual_bytes, theirs.virtual_bytes),
            "{ours:?} {theirs:?}"
        );
        assert!(slow.peak_rss_bytes.is_some() && slow.swap_bytes.is_some());
    }

    #[test]
    fn without_proc_everything_is_unknown() {
        let empty = tempfile::tempdir().unwrap();
        let process = Process::open(empty.path());
        assert_eq!(process.fresh(), None);
        assert_eq!(process.slow(&mut Vec::new()), SlowProcessMemory::default());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_statm(&text, 4096);
            let _ = parse_status(&text);
        }
    }
}
