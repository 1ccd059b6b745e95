//! What can only be seen on a real kernel with cgroup v2: that it tells the manager what the manager listens for, and that the
//! manager's numbers and levels follow what the kernel does. Each check is a process of its own, in cgroups of its own, and
//! prints `ok NAME` or `FAILED NAME: why`. Needs root in a root cgroup, as `ci/vm` has it.
//!
//! `v2_kernel` runs all that a kernel with PSI must pass, `v2_kernel NAME..` some. `without_psi` wants `psi=0`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod cgroup;
mod checks;
mod filler;

use std::process::{Command, ExitCode};

use cgroup::Cgroup;

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// In front of the name of the check that this process is.
const CHECK: &str = "--check";

/// Why a check failed.
pub type Outcome = Result<(), String>;
type Check = fn(&Cgroup) -> Outcome;

const ALL: [(&str, Check); 8] = [
    ("events", checks::told::events),
    ("stall", checks::told::stall),
    ("kernel_killed", checks::told::kernel_killed),
    ("memory_high", checks::limits::memory_high),
    ("limit_moves", checks::limits::limit_moves),
    ("parent_binds", checks::limits::parent_binds),
    ("other_cgroup", checks::limits::other_cgroup),
    (WITHOUT_PSI, checks::told::without_psi),
];
const WITHOUT_PSI: &str = "without_psi";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [filler::FILL, mib] => filler::fill(mib),
        [CHECK, name] => run(name),
        names => all(names),
    }
}

/// Each as a process.
fn all(names: &[&str]) -> ExitCode {
    let wanted = |name: &str| match names {
        [] => name != WITHOUT_PSI,
        names => names.contains(&name),
    };
    if let Some(unknown) = names
        .iter()
        .find(|name| ALL.iter().all(|(known, _)| known != *name))
    {
        eprintln!("v2_kernel: no check {unknown:?}");
        return ExitCode::from(64);
    }
    let mut failed = false;
    for (name, _) in ALL.iter().filter(|(name, _)| wanted(name)) {
        let output = std::env::current_exe()
            .and_then(|myself| Command::new(myself).args([CHECK, name]).output());
        let why = match output {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(format!(
                "{}{} ({})",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr).trim_end(),
                output.status
            )),
            Err(error) => Some(error.to_string()),
        };
        match why {
            None => println!("ok {name}"),
            Some(why) => {
                println!("FAILED {name}: {why}");
                failed = true;
            }
        }
        Cgroup::remove_all(name);
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn run(name: &str) -> ExitCode {
    let Some((_, check)) = ALL.iter().find(|(known, _)| *known == name) else {
        return ExitCode::from(64);
    };
    match Cgroup::top(name).and_then(|top| check(&top)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
