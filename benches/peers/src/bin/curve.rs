//! What metering costs as a curve over the sizes, beside its peers: in instructions, in time on one thread and on two.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{fmt, io};

use plimsoll::ByteSize;
use plimsoll_peers::series::curve::{self, THREADS};
use plimsoll_peers::{Allocator, Run, Table};

/// Two figures whose ratio is no farther from 1 are alike.
const ALIKE_COUNTS: f64 = 0.01;
/// Two processes of the same allocator differ as much on a shared machine.
const ALIKE_TIMES: f64 = 0.05;

/// What the allocators take for a pair of one size.
struct Point {
    size: ByteSize,
    bare: f64,
    over_bare: Vec<(Allocator, f64)>,
}

impl Point {
    fn of(&self, allocator: Allocator) -> f64 {
        let found = self.over_bare.iter().find(|(peer, _)| *peer == allocator);
        found.map_or(1.0, |&(_, over_bare)| over_bare)
    }
}

/// The sizes that were measured, smallest first.
struct Curves {
    title: String,
    unit: &'static str,
    alike: f64,
    points: Vec<Point>,
}

impl Curves {
    fn instructions(run: &Run) -> io::Result<Curves> {
        let of = |allocator, size| run.recorded(&curve::instructions(allocator, size));
        Ok(Curves {
            title: "Instructions per malloc and free".to_owned(),
            unit: "",
            alike: ALIKE_COUNTS,
            points: points(
                |size| run.recorded_if_any(&curve::instructions(Allocator::Bare, size)),
                |peer, size| Ok(of(peer, size)? / of(Allocator::Bare, size)?),
            )?,
        })
    }

    fn times(run: &Run, threads: u32) -> io::Result<Curves> {
        Ok(Curves {
            title: format!("Time per malloc and free, threads: {threads}"),
            unit: " ns",
            alike: ALIKE_TIMES,
            points: points(
                |size| run.recorded_if_any(&curve::nanos(Allocator::Bare, size, threads)),
                |peer, size| run.recorded(&curve::time_over_bare(peer, size, threads)),
            )?,
        })
    }

    /// Where the batching wrapper costs less than the meter, and where neither does.
    fn comparison(&self) -> String {
        let sizes = |holds: &dyn Fn(f64) -> bool| {
            let sizes: Vec<String> = self
                .points
                .iter()
                .filter(|point| holds(point.of(Allocator::Batching) / point.of(Allocator::Metered)))
                .map(|point| point.size.to_string())
                .collect();
            if sizes.is_empty() {
                "no size".to_owned()
            } else {
                sizes.join(", ")
            }
        };
        let alike = self.alike;
        format!(
            "The batching wrapper is cheaper than the meter at {}; within {:.0} % of it at {}.",
            sizes(&|ratio| ratio < 1.0 - alike),
            alike * 100.0,
            sizes(&|ratio| (ratio - 1.0).abs() <= alike),
        )
    }
}

fn points(
    bare: impl Fn(ByteSize) -> io::Result<Option<f64>>,
    over_bare: impl Fn(Allocator, ByteSize) -> io::Result<f64>,
) -> io::Result<Vec<Point>> {
    let mut points = Vec::new();
    for size in curve::sizes(false) {
        if let Some(bare) = bare(size)? {
            let over_bare = Allocator::peers()
                .map(|peer| Ok((peer, over_bare(peer, size)?)))
                .collect::<io::Result<_>>()?;
            points.push(Point {
                size,
                bare,
                over_bare,
            });
        }
    }
    Ok(points)
}

impl fmt::Display for Curves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: bare, and the others over it\n", self.title)?;
        if self.points.is_empty() {
            return writeln!(f, "Not measured: no valgrind.");
        }
        let names = Allocator::ALL.into_iter().map(Allocator::name);
        let mut table = Table::new(["size"].into_iter().chain(names));
        for point in &self.points {
            let cells = [
                point.size.to_string(),
                format!("{:.1}{}", point.bare, self.unit),
            ];
            let ratios = Allocator::peers().map(|peer| format!("{:.3}", point.of(peer)));
            table.push(cells.into_iter().chain(ratios));
        }
        writeln!(f, "{table}\n{}", self.comparison())
    }
}

fn main() -> io::Result<()> {
    let run = Run::current()
        .ok_or_else(|| io::Error::other("CRITERION_HOME names no run; use ci/bench"))?;
    if run.recorded(curve::METER_RUNS)? == 0.0 {
        println!("No event reaches the meter: what is called metered below is bare.\n");
    }
    println!("{}", Curves::instructions(&run)?);
    for threads in THREADS {
        println!("{}", Curves::times(&run, threads)?);
    }
    Ok(())
}
