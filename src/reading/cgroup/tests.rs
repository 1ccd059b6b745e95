//! Trees as real kernels show them, under `tests/fixtures/cgroup`, and what must be read out of each.

mod cases;
mod changes;
mod kernel;
mod misplaced;
mod parsing;
mod properties;

use std::fs;
use std::path::{Path, PathBuf};

use super::{Cgroup, LimitFact, LimitFile};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The memory of the machine that the fixtures pretend to be.
const HOST_BYTES: u64 = 24 * GIB;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/cgroup")
        .join(name)
}

/// A copy of a fixture that a test may change.
fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&fixture(name), copy.path());
    copy
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn limit(mebibytes: u64, file: LimitFile) -> LimitFact {
    LimitFact::Bytes {
        bytes: mebibytes * MIB,
        file,
    }
}

/// The problems as an operator would read them, with paths relative to `root`.
fn problems_of(cgroup: &Cgroup, root: &Path) -> Vec<String> {
    let prefix = format!("{}/", root.display());
    cgroup
        .problems()
        .iter()
        .map(|problem| problem.to_string().replace(&prefix, ""))
        .collect()
}
