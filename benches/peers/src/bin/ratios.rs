//! The figures of one run as a table: what was measured, beside what was promised. It judges, but never fails on a figure:
//! a clock on a shared machine is no test. What could not be measured is left out, and a line below says so.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::fmt;
use std::io;

use Target::{AtLeast, AtMost, Shown};
use plimsoll::ByteSize;
use plimsoll_peers::series::overshoot::{self, Arm};
use plimsoll_peers::series::{curve, guard, layers, own, periodic, purge, usage};
use plimsoll_peers::{Allocator, Run, Table};

const USAGE: Target = AtMost(1.0 / 15.0);
const GUARD: Target = AtMost(2.0);
/// Nanoseconds.
const QUESTION: Target = AtMost(2.0);
const QUESTION_INSIDE: Target = AtMost(3.0);
/// Nanoseconds that a limit adds to a poll.
const POLL: Target = AtMost(20.0);
/// Nanoseconds.
const RESERVE: Target = AtMost(30.0);
/// Per thread; a shared machine takes from any two.
const GUARDS_SIDE_BY_SIDE: Target = AtMost(1.5);
const PERIODIC: Target = AtMost(1.5);
/// No slower than alone, but for what a shared machine takes from any two threads; the thread-local shows how much that is.
const SIDE_BY_SIDE: Target = AtMost(1.15);
const LAYER: Target = AtMost(layers::PROMISED_NANOS);
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
    ratio(
        guard::STATIC_SITE_TWO,
        guard::STATIC_SITE_ONE,
        GUARDS_SIDE_BY_SIDE,
    ),
    ratio(guard::BLOCKS_INSIDE, guard::BLOCKS, Shown),
    time(guard::PRESSURE, QUESTION),
    time(guard::PRESSURE_GLOBAL, Shown),
    time(guard::CHECKPOINT_OUTSIDE, QUESTION),
    time(guard::CHECKPOINT_INSIDE, QUESTION_INSIDE),
    difference(guard::POLL_LIMITED, guard::POLL, POLL),
    time(guard::RESERVE, RESERVE),
    time(guard::RESERVE_AND_DROP, Shown),
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
    recorded(layers::SHED[0], Unit::Nanos, LAYER),
    recorded(layers::SHED[1], Unit::Nanos, LAYER),
    recorded(layers::LIMIT[0], Unit::Nanos, LAYER),
    recorded(layers::LIMIT[1], Unit::Nanos, LAYER),
    recorded(layers::BOTH[0], Unit::Nanos, Shown),
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
    /// criterion's median of one series without that of another.
    Difference(&'static str, &'static str),
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

const fn difference(of: &'static str, without: &'static str, target: Target) -> Figure {
    Figure {
        source: Source::Difference(of, without),
        unit: Unit::Nanos,
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
            Source::Difference(of, without) => {
                let (of_nanos, without_nanos) = (run.median_nanos(of)?, run.median_nanos(without)?);
                let detail = format!(
                    " ({} - {})",
                    Unit::Nanos.of(of_nanos),
                    Unit::Nanos.of(without_nanos)
                );
                (
                    format!("{of} - {without}"),
                    of_nanos - without_nanos,
                    detail,
                )
            }
            Source::Median(of) => (of.to_owned(), run.median_nanos(of)?, String::new()),
            Source::Recorded(of) => (of.to_owned(), run.recorded(of)?, String::new()),
        };
        let measured = format!("{}{detail}", self.unit.of(value));
        let (bound, verdict) = self.target.judge(value, self.unit);
        Ok([name, measured, bound, verdict.to_owned()])
    }
}

impl Target {
    /// The bound, and whether `value` is within.
    fn judge(self, value: f64, unit: Unit) -> (String, &'static str) {
        match self {
            AtMost(most) => (format!("<= {}", unit.of(most)), judged(value <= most)),
            AtLeast(least) => (format!(">= {}", unit.of(least)), judged(value >= least)),
            Shown => ("-".to_owned(), "-"),
        }
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

/// How far past the line the worst round of an arm was.
fn overshoot(run: &Run, arm: &Arm) -> io::Result<[String; 4]> {
    let worst = run.recorded(arm.worst)?;
    let (median, too_late) = (run.recorded(arm.median)?, run.recorded(arm.too_late)?);
    let interval_bytes = (overshoot::INTERVAL.as_u64() * arm.threads_per_line()) as f64;
    let full = if too_late > 0.0 {
        format!(
            "; full before that in {} of rounds",
            Unit::Share.of(too_late)
        )
    } else {
        String::new()
    };
    let measured = format!(
        "{} ({:.2} intervals per thread; median {}, {:.2}{full})",
        Unit::Bytes.of(worst),
        worst / interval_bytes,
        Unit::Bytes.of(median),
        median / interval_bytes,
    );
    let promised = arm.promised_bytes();
    let target = promised.map_or(Shown, |bytes| AtMost(bytes as f64));
    let (bound, verdict) = target.judge(worst, Unit::Bytes);
    Ok([arm.worst.to_owned(), measured, bound, verdict.to_owned()])
}

/// What metering costs in instructions, at the sizes that were measured; or why there is nothing to judge.
fn metering(run: &Run) -> io::Result<Result<Vec<[String; 4]>, &'static str>> {
    let mut rows = Vec::new();
    for &(size, most) in curve::PROMISED {
        let of = |allocator| run.recorded_if_any(&curve::instructions(allocator, size));
        if let (Some(metered), Some(bare)) = (of(Allocator::Metered)?, of(Allocator::Bare)?) {
            let ratio = metered / bare;
            let (bound, verdict) = AtMost(most).judge(ratio, Unit::Times);
            rows.push([
                format!("instructions of malloc and free of {size}, metered / bare"),
                format!("{} ({metered:.1} / {bare:.1})", Unit::Times.of(ratio)),
                bound,
                verdict.to_owned(),
            ]);
        }
    }
    Ok(if rows.is_empty() {
        Err("no valgrind")
    } else if run.recorded(curve::METER_RUNS)? == 0.0 {
        Err("no event reaches the meter, so there is nothing to judge")
    } else {
        Ok(rows)
    })
}

fn main() -> io::Result<()> {
    let run = Run::current()
        .ok_or_else(|| io::Error::other("CRITERION_HOME names no run; use ci/bench"))?;
    let mut table = Table::new(["figure", "measured", "target", "ok/missed"]);
    for figure in FIGURES {
        table.push(figure.row(&run)?);
    }
    for arm in &overshoot::ARMS {
        table.push(overshoot(&run, arm)?);
    }
    let metering = metering(&run)?;
    for row in metering.iter().flatten() {
        table.push(row.clone());
    }
    print!("{table}");
    if let Err(reason) = metering {
        println!("Left out: what metering costs in instructions ({reason}).");
    }
    Ok(())
}
