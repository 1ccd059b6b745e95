//! [`Args`]: what can be said on the command line.

use std::path::PathBuf;

use plimsoll_survival::{Flags, Variant};

pub const HELP: &str = "\
Runs the service `overload` in memory cgroups, without plimsoll and with it, and prints a table of who was killed.

Usage: survive [options]

  --seconds N        how long each load lasts at least; twice as long as the unmanaged twin lived, if that is
                     longer, and that has 15 times as long to die [10]
  --runs R           how often each is run [1]
  --variants A,B     which loads [all]
  --limit-mib L      the limit of each cgroup [128]
  --only WHICH       managed (with its reference) or unmanaged [both]
  --no-reference     without the runs that goodput is compared with
  --sample-ms N      how often the service looks at its usage [5]
  --dir DIR          on a real disk, for the hot file of pagecache [.]
  --json FILE        writes each run in full, a line each; - is stdout, which then has no table
  --help             print this

Or: survive --table FILE..   prints one table of the runs in these files of --json, other lines are passed over

Needs a memory cgroup that it may make children of: root, or a delegated one.

Exit: 0 all that was asserted holds, 1 something does not, 64 unknown argument, 70 could not run
";

#[derive(Debug, PartialEq)]
pub struct Args {
    pub seconds: u64,
    pub runs: u64,
    pub variants: Vec<Variant>,
    pub limit_mib: u64,
    pub managed: bool,
    pub unmanaged: bool,
    pub reference: bool,
    pub sample_ms: u64,
    pub dir: PathBuf,
    pub json: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Survive(Args),
    /// Judges the runs that were written to these files.
    Table(Vec<PathBuf>),
    /// Goes into a cgroup and becomes another program: how a child gets there before it does anything.
    Enter {
        dir: PathBuf,
        program: Vec<String>,
    },
}

impl Command {
    /// The error is a line for people.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Command, String> {
        let mut flags = Flags::new(words);
        let mut args = Args {
            seconds: 10,
            runs: 1,
            variants: Variant::ALL.to_vec(),
            limit_mib: 128,
            managed: true,
            unmanaged: true,
            reference: true,
            sample_ms: 5,
            dir: PathBuf::from("."),
            json: None,
        };
        while let Some(flag) = flags.next_flag() {
            match flag.as_str() {
                "--seconds" => args.seconds = flags.value(&flag)?,
                "--runs" => args.runs = flags.value(&flag)?,
                "--variants" => args.variants = flags.list(&flag)?,
                "--limit-mib" => args.limit_mib = flags.value(&flag)?,
                "--only" => match flags.value::<String>(&flag)?.as_str() {
                    "managed" => args.unmanaged = false,
                    "unmanaged" => args.managed = false,
                    other => {
                        return Err(format!("--only takes managed or unmanaged, not {other:?}"));
                    }
                },
                "--no-reference" => args.reference = false,
                "--sample-ms" => args.sample_ms = flags.value(&flag)?,
                "--dir" => args.dir = flags.value(&flag)?,
                "--json" => args.json = Some(flags.value(&flag)?),
                "--table" => return table(flags.rest()),
                "--enter" => return enter(flags.value(&flag)?, flags.rest()),
                "--help" | "-h" => return Ok(Command::Help),
                other => return Err(format!("unknown argument {other:?}; see --help")),
            }
        }
        // A smaller one is below what the service takes for itself.
        if args.limit_mib < 32 {
            return Err("--limit-mib must be at least 32".to_owned());
        }
        if args.seconds == 0 || args.runs == 0 || args.sample_ms == 0 {
            return Err("--seconds, --runs and --sample-ms must be above 0".to_owned());
        }
        if !args.managed && !args.unmanaged {
            return Err("--only managed and --only unmanaged leave nothing".to_owned());
        }
        Ok(Command::Survive(args))
    }
}

fn table(files: Vec<String>) -> Result<Command, String> {
    if files.is_empty() {
        return Err("--table needs files behind it".to_owned());
    }
    Ok(Command::Table(
        files.into_iter().map(PathBuf::from).collect(),
    ))
}

fn enter(dir: PathBuf, rest: Vec<String>) -> Result<Command, String> {
    match rest.split_first() {
        Some((dashes, program)) if dashes == "--" && !program.is_empty() => Ok(Command::Enter {
            dir,
            program: program.to_vec(),
        }),
        _ => Err("--enter DIR needs `-- PROGRAM ARGUMENTS..` behind it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    fn args(line: &str) -> Args {
        match parse(line) {
            Ok(Command::Survive(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_variants_both_ways_unless_told_otherwise() {
        let default = args("");
        assert_eq!(default.variants, Variant::ALL);
        assert!(default.managed && default.unmanaged && default.reference);
        let some = args("--variants huge,small --only managed --runs 20 --seconds 60");
        assert_eq!(some.variants, [Variant::Huge, Variant::Small]);
        assert_eq!((some.managed, some.unmanaged), (true, false));
        assert_eq!((some.runs, some.seconds), (20, 60));
        assert_eq!(
            parse("--table a b"),
            Ok(Command::Table(vec!["a".into(), "b".into()]))
        );
    }

    #[test]
    fn enter_takes_the_rest_as_it_is() {
        assert_eq!(
            parse("--enter /x -- prog --seconds 1"),
            Ok(Command::Enter {
                dir: PathBuf::from("/x"),
                program: ["prog", "--seconds", "1"].map(str::to_owned).to_vec(),
            })
        );
        for line in [
            "--enter",
            "--enter /x",
            "--enter /x --",
            "--enter /x prog arg",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        for (line, part) in [
            ("--what", "\"--what\""),
            ("--seconds x", "--seconds \"x\""),
            ("--seconds 0", "above 0"),
            ("--limit-mib 8", "at least 32"),
            ("--variants small,tiny", "\"tiny\""),
            ("--only some", "\"some\""),
            ("--table", "needs files"),
            ("--only managed --only unmanaged", "leave nothing"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
