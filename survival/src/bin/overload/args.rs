//! [`Args`]: what can be said on the command line.

use std::path::PathBuf;

use plimsoll_survival::{Flags, Variant};

pub const HELP: &str = "\
A service under more load than fits into its limit; prints one line of JSON about how it went.

Usage: overload --variant NAME [options]

  --variant NAME   small huge threads spawn realloc pagecache reserved leak halved tokio
  --seconds N      how long the load lasts [10]
  --limit-mib L    the limit for which the load is made: its events take 4 times as much [128]
  --unmanaged      no memory manager is installed
  --cache-mib X    bounds the cache by itself [it has no bound]
  --threads T      clients [by variant]
  --sample-ms N    how often usage is looked at [5]
  --seed N         of the clients' draws [1]
  --dir DIR        where hot.file is, for pagecache [.]
  --help           print this

Exit: 0 every event is accounted for, 1 one is not, 64 unknown argument, 70 could not run
";

pub struct Args {
    pub variant: Variant,
    pub seconds: u64,
    pub limit_mib: u64,
    pub managed: bool,
    pub cache_mib: Option<u64>,
    pub threads: Option<usize>,
    pub sample_ms: u64,
    pub seed: u64,
    pub dir: PathBuf,
}

impl Args {
    /// `None` when help was asked for; the error is a line for people.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Option<Args>, String> {
        let mut flags = Flags::new(words);
        let mut variant = None;
        let mut args = Args {
            variant: Variant::Small,
            seconds: 10,
            limit_mib: 128,
            managed: true,
            cache_mib: None,
            threads: None,
            sample_ms: 5,
            seed: 1,
            dir: PathBuf::from("."),
        };
        while let Some(flag) = flags.next_flag() {
            match flag.as_str() {
                "--variant" => variant = Some(flags.value(&flag)?),
                "--seconds" => args.seconds = flags.value(&flag)?,
                "--limit-mib" => args.limit_mib = flags.value(&flag)?,
                "--unmanaged" => args.managed = false,
                "--cache-mib" => args.cache_mib = Some(flags.value(&flag)?),
                "--threads" => args.threads = Some(flags.value(&flag)?),
                "--sample-ms" => args.sample_ms = flags.value(&flag)?,
                "--seed" => args.seed = flags.value(&flag)?,
                "--dir" => args.dir = flags.value(&flag)?,
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("unknown argument {other:?}; see --help")),
            }
        }
        args.variant = variant.ok_or("--variant is missing; see --help")?;
        for (flag, value) in [
            ("--limit-mib", args.limit_mib),
            ("--sample-ms", args.sample_ms),
            ("--threads", args.threads.unwrap_or(1) as u64),
        ] {
            if value == 0 {
                return Err(format!("{flag} must be above 0"));
            }
        }
        Ok(Some(args))
    }
}
