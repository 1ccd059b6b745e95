//! How soon and at what price the manager acts: the delay from crossing the Elevated line to the first byte that a hook frees,
//! what its threads cost a process at rest, what a cleanup does to requests, and what cleanups in vain take.
//!
//! Each part is a process of its own, run several times; the table shows the medians. `reaction --part <name>` runs one once.
//! Clocks on a shared machine are no test: a figure that is missed says so, and the exit code stays 0.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod figures;
mod futile;
mod reclaim;
mod requests;
mod threads;
mod worker;

use std::error::Error;
use std::process::{Command, Stdio};
use std::{env, fs};

use figures::{FIGURES, Figure};
use plimsoll_peers::{Table, median};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const ROUNDS: usize = 3;

/// What a part measured: the name of a figure and its value.
type Measured = Vec<(&'static str, f64)>;

/// How long a part takes.
#[derive(Clone, Copy)]
struct Pace {
    quick: bool,
}

impl Pace {
    fn of<T>(self, quick: T, thorough: T) -> T {
        if self.quick { quick } else { thorough }
    }
}

struct Part {
    name: &'static str,
    run: fn(Pace) -> Result<Measured, Box<dyn Error>>,
}

const PARTS: [Part; 8] = [
    Part {
        name: "reclaim-idle",
        run: |pace| reclaim::measure(pace, false),
    },
    Part {
        name: "reclaim-busy",
        run: |pace| reclaim::measure(pace, true),
    },
    Part {
        name: "worker-normal",
        run: worker::at_normal,
    },
    Part {
        name: "worker-elevated",
        run: worker::at_elevated,
    },
    Part {
        name: "requests",
        run: requests::measure,
    },
    Part {
        name: "futile",
        run: futile::cost,
    },
    Part {
        name: "churn-50",
        run: |pace| futile::churn(pace, false),
    },
    Part {
        name: "churn-85",
        run: |pace| futile::churn(pace, true),
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let wanted = arguments
        .iter()
        .position(|argument| argument == "--part")
        .and_then(|at| arguments.get(at + 1));
    if let Some(wanted) = wanted {
        let part = PARTS.iter().find(|part| part.name == wanted);
        let part = part.ok_or_else(|| format!("no part {wanted:?}"))?;
        for (name, value) in (part.run)(Pace { quick })? {
            println!("{name}\t{value}");
        }
        return Ok(());
    }
    let rounds = if quick { 1 } else { ROUNDS };
    let mut values: Vec<(String, f64)> = Vec::new();
    for round in 0..rounds {
        for part in &PARTS {
            let load = fs::read_to_string("/proc/loadavg")?;
            let load = load.split(' ').next().unwrap_or_default();
            let begun = values.len();
            run_apart(part, quick, &mut values)?;
            eprintln!("round {}, {}, load {load} before:", round + 1, part.name);
            for (name, value) in &values[begun..] {
                eprintln!("  {name}: {value:.3}");
            }
        }
    }
    print!("{}", table(&values));
    Ok(())
}

/// Runs `part` in a process of its own.
fn run_apart(
    part: &Part,
    quick: bool,
    values: &mut Vec<(String, f64)>,
) -> Result<(), Box<dyn Error>> {
    let output = Command::new(env::current_exe()?)
        .args(["--part", part.name])
        .args(quick.then_some("--quick"))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", part.name, output.status).into());
    }
    for line in String::from_utf8(output.stdout)?.lines() {
        let (name, value) = line.split_once('\t').ok_or("a line without a value")?;
        values.push((name.to_owned(), value.parse()?));
    }
    Ok(())
}

fn table(values: &[(String, f64)]) -> Table {
    let of = |name: &str| {
        let found: Vec<f64> = values
            .iter()
            .filter(|(of, _)| of == name)
            .map(|&(_, value)| value)
            .collect();
        (!found.is_empty()).then(|| median(found.into_iter()))
    };
    let mut table = Table::new(["figure", "measured", "aim", "ok/missed"]);
    for figure in FIGURES {
        let Figure { name, unit, most } = figure;
        let Some(value) = figure.value(&of) else {
            table.push([name, "not measured", "-", "-"]);
            continue;
        };
        let (aim, verdict) = match most {
            Some(most) if value <= *most => (format!("<= {}", unit.of(*most)), "ok"),
            Some(most) => (format!("<= {}", unit.of(*most)), "missed"),
            None => ("-".to_owned(), "-"),
        };
        table.push([(*name).to_owned(), unit.of(value), aim, verdict.to_owned()]);
    }
    table
}
