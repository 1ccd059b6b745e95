//! Runs the service `overload`, which must stand beside this program, in memory cgroups of its own (v1 or v2, whichever is
//! here): first without plimsoll, then with it, then outside of any cgroup with a cache of the size that fits, for comparison.
//! Prints a table, and a line for each thing that does not hold: the kernel must kill the first, must not kill the second, and
//! every event of the second must be accounted for.
//!
//! Each run gets a cgroup of its own and joins it before it does anything: this program starts itself (`--enter DIR --
//! overload ..`), moves, and becomes the service.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

mod args;
mod group;
mod halving;
mod lines;
mod run;
mod table;
mod verdict;

use std::error::Error;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use plimsoll_survival::Variant;

use args::{Args, Command, HELP};
use group::Version;
use lines::Lines;
use run::{HotFile, Run, Stage, Twin, load_seconds};

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(line) => {
            eprintln!("survive: {line}");
            return ExitCode::from(64);
        }
    };
    let done = match command {
        Command::Help => {
            print!("{HELP}");
            Ok(true)
        }
        Command::Survive(args) => survive(&args),
        Command::Table(files) => lines::read(&files).map(|runs| judge(&runs)),
        Command::Enter { dir, program } => enter(&dir, &program),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("survive: {error}");
            ExitCode::from(70)
        }
    }
}

/// Whether all that was asserted holds.
fn survive(args: &Args) -> Result<bool, Box<dyn Error>> {
    let myself = std::env::current_exe()?;
    let stage = Stage {
        version: Version::detect()?,
        overload: myself.with_file_name("overload"),
        myself,
    };
    if !stage.overload.exists() {
        return Err(format!("{} is missing", stage.overload.display()).into());
    }
    let mut lines = args.json.as_deref().map(Lines::create).transpose()?;
    let runs = all_runs(args, &stage, |run| match &mut lines {
        Some(lines) => lines.write(run),
        None => Ok(()),
    })?;
    if lines.is_some_and(|lines| lines.are_printed()) {
        return Ok(runs.iter().all(|run| verdict::verdict(run).is_empty()));
    }
    Ok(judge(&runs))
}

/// Prints what became of `runs`; whether all that was asserted holds.
fn judge(runs: &[Run]) -> bool {
    println!("{}\n{}", table::limits(runs), table::table(runs));
    let failures: Vec<String> = runs.iter().flat_map(verdict::verdict).collect();
    for failure in &failures {
        println!("FAILED {failure}");
    }
    if failures.is_empty() {
        println!("all that was asserted holds");
    }
    failures.is_empty()
}

/// Tells of each run once it is done.
fn all_runs(
    args: &Args,
    stage: &Stage,
    mut done: impl FnMut(&Run) -> io::Result<()>,
) -> Result<Vec<Run>, Box<dyn Error>> {
    let hot_file = args
        .variants
        .contains(&Variant::Pagecache)
        .then(|| HotFile::make(&args.dir, args.limit_mib))
        .transpose()?;
    let mut twins = Vec::new();
    if args.unmanaged {
        twins.push(Twin::Unmanaged);
    }
    if args.managed && args.reference {
        twins.push(Twin::Reference);
    }
    if args.managed {
        twins.push(Twin::Managed);
    }
    let mut runs = Vec::new();
    for &variant in &args.variants {
        for _ in 0..args.runs {
            let mut twin_lived_ms = None;
            for &twin in &twins {
                if let (Variant::Pagecache, Some(hot_file)) = (variant, &hot_file) {
                    hot_file.cool()?;
                }
                let seconds = load_seconds(args.seconds, variant, twin, twin_lived_ms);
                let run = stage.run(args, variant, twin, seconds)?;
                if run.twin == Twin::Unmanaged && run.was_killed() {
                    twin_lived_ms = Some(run.lived_ms);
                }
                eprintln!("{variant} {}: {}", twin.name(), run.fact());
                done(&run)?;
                runs.push(run);
            }
        }
    }
    Ok(runs)
}

/// Becomes `program` inside the cgroup; returns only if it can't.
fn enter(dir: &Path, program: &[String]) -> Result<bool, Box<dyn Error>> {
    group::enter(dir)?;
    let error = std::process::Command::new(&program[0])
        .args(&program[1..])
        .exec();
    Err(format!("{}: {error}", program[0]).into())
}
