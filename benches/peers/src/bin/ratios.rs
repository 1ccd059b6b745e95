//! The figures of one run as a table: what was measured, beside what was promised. It judges, but never fails on a figure:
//! a clock on a shared machine is no test.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::fmt;
use std::io;

use Target::{AtLeast, AtMost, Shown};
use plimsoll::ByteSize;
use plimsoll_peers::Run;
use plimsoll_peers::series::{guard, own, periodic, purge, usage};

const USAGE: Target = AtMost(1.0 / 15.0);
const GUARD: Target = AtMost(2.0);
/// Nanoseconds.
const QUESTION: Target = AtMost(2.0);
const PERIODIC: Target = AtMost(1.5);
/// No slower than alone, but for what a shared machine takes from any two threads; the thread-local shows how much that is.
const SIDE_BY_SIDE: Target = AtMost(1.15);
const RETURNED: Target = AtLeast(0.95);
const PURGE: Target = AtMost(2.0);
const OWN_RSS: Target = AtMost((1 << 20) as f64);

const FIGURES: &[Figure] = &[
    ratio(usage::PLIMSOLL, usage::SYSINFO, USAGE),
    ratio(usage::PLIMSOLL, usage::MEMORY_STATS, Shown),
    ratio(guard::STATIC_SITE, guard::MALLOC_AND_FREE, GUARD),
    ratio(guard::NAMED, guard::MALLOC_AND_FREE, GUARD),
    ratio(guard::LOCATED, guard::MALLOC_AND_FREE, GUARD),
    ratio(guard::ATTRIBUTE, guard::MALLOC_AND_FREE, GUARD),
    time(guard::PRESSURE, QUESTION),
    time(guard::PRESSURE_GLOBAL, Shown),
    time(guard::CHECKPOINT_OUTSIDE, QUESTION),
    time(guard::CHECKPOINT_INSIDE, Shown),
    ratio(periodic::NAMED_SELDOM, periodic::THREAD_LOCAL, PERIODIC),
    ratio(periodic::NAMED_OFTEN, periodic::THREAD_LOCAL, PERIODIC),
    ratio(periodic::INLINE_SELDOM, periodic::THREAD_LOCAL, PERIODIC),
    ratio(periodic::INLINE_OFTEN, periodic::THREAD_LOCAL, PERIODIC),
    ratio(periodic::ATTRIBUTE_SELDOM, periodic::THREAD_LOCAL, PERIODIC),
    ratio(periodic::ATTRIBUTE_OFTEN, periodic::THREAD_LOCAL, PERIODIC),
    ratio(periodic::ATOMIC, periodic::THREAD_LOCAL, Shown),
    ratio(
        periodic::NAMED_SELDOM_TWO,
        periodic::NAMED_SELDOM,
        SIDE_BY_SIDE,
    ),
    ratio(
        periodic::NAMED_OFTEN_TWO,
        periodic::NAMED_OFTEN,
        SIDE_BY_SIDE,
    ),
    ratio(periodic::THREAD_LOCAL_TWO, periodic::THREAD_LOCAL, Shown),
    ratio(periodic::ATOMIC_TWO, periodic::ATOMIC, Shown),
    recorded(purge::PAGES.returned, Unit::Share, RETURNED),
    recorded(purge::PAGES.times_madvise, Unit::Times, PURGE),
    recorded(purge::SMALL.returned, Unit::Share, RETURNED),
    recorded(purge::SMALL.times_madvise, Unit::Times, PURGE),
    recorded(purge::IDLE_THREADS.returned, Unit::Share, RETURNED),
    recorded(purge::IDLE_THREADS.times_madvise, Unit::Times, PURGE),
    recorded(purge::SILENT_THREADS.returned, Unit::Share, Shown),
    recorded(purge::FRAGMENTED.returned, Unit::Share, Shown),
    recorded(own::RSS, Unit::Bytes, OWN_RSS),
];

struct Figure {
    source: Source,
    unit: Unit,
    target: Target,
}

enum Source {
    /// criterion's median of one series over that of another.
    Ratio(&'static str, &'static str),
    /// criterion's median.
    Median(&'static str),
    /// A number that a bench recorded.
    Recorded(&'static str),
}

#[derive(Clone, Copy)]
enum Unit {
    Times,
    Nanos,
    Share,
    Bytes,
}

#[derive(Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Not promised; printed for whoever reads the rest.
    Shown,
}

const fn ratio(of: &'static str, to: &'static str, target: Target) -> Figure {
    Figure {
        source: Source::Ratio(of, to),
        unit: Unit::Times,
        target,
    }
}

const fn time(of: &'static str, target: Target) -> Figure {
    Figure {
        source: Source::Median(of),
        unit: Unit::Nanos,
        target,
    }
}

const fn recorded(name: &'static str, unit: Unit, target: Target) -> Figure {
    Figure {
        source: Source::Recorded(name),
        unit,
        target,
    }
}

impl Figure {
    /// Its cells: name, measured, target, verdict.
    fn row(&self, run: &Run) -> io::Result<[String; 4]> {
        let (name, value, detail) = match self.source {
            Source::Ratio(of, to) => {
                let (of_nanos, to_nanos) = (run.median_nanos(of)?, run.median_nanos(to)?);
                let detail = format!(
                    " ({} / {})",
                    Unit::Nanos.of(of_nanos),
                    Unit::Nanos.of(to_nanos)
                );
                (format!("{of} / {to}"), of_nanos / to_nanos, detail)
            }
            Source::Median(of) => (of.to_owned(), run.median_nanos(of)?, String::new()),
            Source::Recorded(of) => (of.to_owned(), run.recorded(of)?, String::new()),
        };
        let (bound, verdict) = match self.target {
            AtMost(most) => (format!("<= {}", self.unit.of(most)), judged(value <= most)),
            AtLeast(least) => (
                format!(">= {}", self.unit.of(least)),
                judged(value >= least),
            ),
            Shown => ("-".to_owned(), "-"),
        };
        let measured = format!("{}{detail}", self.unit.of(value));
        Ok([name, measured, bound, verdict.to_owned()])
    }
}

fn judged(reached: bool) -> &'static str {
    if reached { "ok" } else { "missed" }
}

impl Unit {
    fn of(self, value: f64) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Unit::Times => write!(f, "{value:.3}"),
            Unit::Nanos if value < 1e3 => write!(f, "{value:.2} ns"),
            Unit::Nanos => write!(f, "{:.2} us", value / 1e3),
            Unit::Share => write!(f, "{:.1} %", value * 100.0),
            Unit::Bytes => write!(f, "{}", ByteSize::bytes(value as u64)),
        })
    }
}

fn main() -> io::Result<()> {
    let run = Run::current()
        .ok_or_else(|| io::Error::other("CRITERION_HOME names no run; use ci/bench"))?;
    let header = ["figure", "measured", "target", "ok/missed"].map(str::to_owned);
    let mut rows = vec![header];
    for figure in FIGURES {
        rows.push(figure.row(&run)?);
    }
    let widths: [usize; 4] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    rows.insert(1, widths.map(|width| "-".repeat(width)));
    for row in &rows {
        let mut line = String::from("|");
        for (cell, width) in row.iter().zip(widths) {
            line += &format!(" {cell:width$} |");
        }
        println!("{line}");
    }
    Ok(())
}
