//! [`set`]: a new limit, all or nothing.

use crate::engine::cgroups::directory::{Directory, Limits, Version};
use crate::engine::room;
use crate::engine::{EngineError, Way};
use crate::size::human;

const MEMORY: &str = "memory.limit_in_bytes";
const WITH_SWAP: &str = "memory.memsw.limit_in_bytes";
/// Pages of any size: the kernel rounds limits to whole ones.
const PAGE_BYTES: u64 = 64 << 10;

/// Limit of memory, and of memory and swap together. Version 2 counts swap apart, in `memory.swap.max`, which stays as it is.
pub(super) fn set(directory: &Directory, to_bytes: u64, way: Way) -> Result<(), EngineError> {
    let before = directory.limits()?;
    way.check(before.memory_bytes, to_bytes)?;
    let name = directory.path.display();
    // Version 2 obeys a limit below usage by killing.
    room::check(
        &name,
        directory.used_bytes()?,
        before.memory_bytes,
        to_bytes,
    )?;
    let order = order(directory.version, before, to_bytes);
    let mut written = Vec::new();
    for step in order {
        match directory.write(step.file, Some(to_bytes)) {
            Ok(()) => written.push(step),
            Err(error) => return Err(undo(directory, &written, error)),
        }
    }
    let after = directory.limits()?;
    let holds = |bytes: Option<u64>| bytes.is_some_and(|is| is.abs_diff(to_bytes) < PAGE_BYTES);
    let swap_holds = directory.version == Version::V2 || after.with_swap_bytes.is_none_or(holds);
    if holds(after.memory_bytes) && swap_holds {
        return Ok(());
    }
    let error = EngineError::Refused(format!(
        "{name}: the limit is not {} after the change",
        human(to_bytes)
    ));
    Err(undo(directory, &written, error))
}

/// A file, and what it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    file: &'static str,
    before_bytes: Option<u64>,
}

/// Memory must never be above memory and swap: what that is for goes first when it grows, last when it shrinks.
fn order(version: Version, before: Limits, to_bytes: u64) -> Vec<Step> {
    let step = |file, before_bytes| Step { file, before_bytes };
    if version == Version::V2 {
        return vec![step("memory.max", before.memory_bytes)];
    }
    let memory = step(MEMORY, before.memory_bytes);
    let Some(with_swap_bytes) = before.with_swap_bytes else {
        return vec![memory];
    };
    let with_swap = step(WITH_SWAP, with_swap_bytes);
    match with_swap_bytes {
        Some(bytes) if bytes < to_bytes => vec![with_swap, memory],
        _ => vec![memory, with_swap],
    }
}

/// Last first.
fn undo(directory: &Directory, written: &[Step], why: EngineError) -> EngineError {
    for step in written.iter().rev() {
        if let Err(error) = directory.write(step.file, step.before_bytes) {
            return EngineError::Refused(format!(
                "{why}; and {} could not be restored: {error}",
                step.file
            ));
        }
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;
    use tempfile::TempDir;

    const MIB: u64 = 1 << 20;

    #[test]
    fn memory_is_never_above_memory_and_swap() {
        let table = [
            // Both, from, to: which goes first.
            (Some(64), Some(Some(64)), 128, WITH_SWAP),
            (Some(128), Some(Some(128)), 64, MEMORY),
            (Some(64), Some(Some(128)), 128, MEMORY),
            (Some(64), Some(Some(128)), 96, MEMORY),
            (Some(64), Some(Some(128)), 129, WITH_SWAP),
            (Some(64), Some(None), 128, MEMORY),
            (None, Some(None), 128, MEMORY),
        ];
        for (memory, with_swap, to, first) in table {
            let mib = |number: u64| number * MIB;
            let before = Limits {
                memory_bytes: memory.map(mib),
                with_swap_bytes: with_swap.map(|limit: Option<u64>| limit.map(mib)),
            };
            let steps = order(Version::V1, before, mib(to));
            assert_eq!(steps.len(), 2);
            assert_eq!(steps[0].file, first, "{memory:?} {with_swap:?} {to}");
            // Played through, the kernel's rule holds after each write.
            let mut now = (before.memory_bytes, before.with_swap_bytes.flatten());
            for step in steps {
                if step.file == MEMORY {
                    now.0 = Some(mib(to));
                } else {
                    now.1 = Some(mib(to));
                }
                let (memory, with_swap) = (now.0.unwrap_or(u64::MAX), now.1.unwrap_or(u64::MAX));
                assert!(memory <= with_swap, "{now:?}");
            }
        }
    }

    /// A tree of plain files.
    struct Fake(TempDir);

    impl Fake {
        fn new(files: &[(&str, u64)]) -> Fake {
            let fake = Fake(TempDir::new().unwrap());
            for (file, bytes) in files {
                fs::write(fake.path(file), format!("{bytes}\n")).unwrap();
            }
            fake
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        fn directory(&self) -> Directory {
            Directory::open(self.0.path().to_owned()).unwrap()
        }

        fn has(&self, file: &str) -> u64 {
            let text = fs::read_to_string(self.path(file)).unwrap();
            text.trim().parse().unwrap()
        }
    }

    fn v1(used_mib: u64, limit_mib: u64) -> Fake {
        let fake = Fake::new(&[
            ("memory.usage_in_bytes", used_mib * MIB),
            (MEMORY, limit_mib * MIB),
            (WITH_SWAP, limit_mib * MIB),
        ]);
        fs::write(fake.path("memory.stat"), "total_inactive_file 0\n").unwrap();
        fake
    }

    #[test]
    fn both_are_set() {
        let fake = v1(10, 64);
        for to in [128 * MIB, 32 * MIB] {
            set(&fake.directory(), to, Way::Set).unwrap();
            assert_eq!((fake.has(MEMORY), fake.has(WITH_SWAP)), (to, to));
        }
    }

    #[test]
    fn the_first_is_restored_when_the_second_fails() {
        // A number that nobody may write, whoever asks.
        let fake = v1(10, 64);
        fs::remove_file(fake.path(MEMORY)).unwrap();
        std::os::unix::fs::symlink("/proc/sys/kernel/ngroups_max", fake.path(MEMORY)).unwrap();
        let directory = fake.directory();
        let before = directory.limits().unwrap();
        let steps = order(Version::V1, before, 128 * MIB);
        assert_eq!(steps[0].file, WITH_SWAP);
        set(&directory, 128 * MIB, Way::Set).unwrap_err();
        assert_eq!(fake.has(WITH_SWAP), 64 * MIB);
    }

    #[test]
    fn below_usage_nothing_is_written() {
        let fake = v1(60, 128);
        let error = set(&fake.directory(), 62 * MIB, Way::Set).unwrap_err();
        assert!(matches!(error, EngineError::Refused(_)));
        assert_eq!(
            (fake.has(MEMORY), fake.has(WITH_SWAP)),
            (128 * MIB, 128 * MIB)
        );
    }

    #[test]
    fn what_was_overtaken_writes_nothing() {
        let fake = v1(10, 64);
        let down = Way::Down { used_bytes: None };
        for (way, to) in [(Way::Up, 32 * MIB), (down, 128 * MIB)] {
            let error = set(&fake.directory(), to, way).unwrap_err();
            assert!(matches!(error, EngineError::Overtaken(Some(limit)) if limit == 64 * MIB));
            assert_eq!(
                (fake.has(MEMORY), fake.has(WITH_SWAP)),
                (64 * MIB, 64 * MIB)
            );
        }
    }

    #[test]
    fn version_2_has_one_limit_and_its_swap_stays() {
        let fake = Fake::new(&[
            ("memory.current", 60 * MIB),
            ("memory.max", 128 * MIB),
            ("memory.swap.max", 5 * MIB),
        ]);
        fs::write(fake.path("memory.stat"), "inactive_file 20971520\n").unwrap();
        // 40 MiB count: with its room 44.
        set(&fake.directory(), 44 * MIB, Way::Set).unwrap();
        assert_eq!(fake.has("memory.max"), 44 * MIB);
        assert_eq!(fake.has("memory.swap.max"), 5 * MIB);
        let refused = set(&fake.directory(), 43 * MIB, Way::Set).unwrap_err();
        assert!(matches!(refused, EngineError::Refused(_)));
        assert_eq!(fake.has("memory.max"), 44 * MIB);
        // An unlimited one says so in a word.
        fs::write(fake.path("memory.max"), "max\n").unwrap();
        assert_eq!(fake.directory().limits().unwrap().memory_bytes, None);
    }
}
