//! `plimsoll simulate`.

use std::ops::RangeInclusive;
use std::path::Path;

use clap::ValueEnum;

use crate::cli::output::print;
use crate::failure::Failure;
use crate::profile::{CAUTION, Strategy};
use crate::simulate::{Front, Half, Point, SHAPES, Score, Trace, fronts, read, score, synthetic};
use crate::size;
use crate::table::{Align, Table};

/// Replays recorded traces against scaling strategies.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// CSV, also gzipped: `second` and a column per pod with parts of its limit, or a recording with
    /// `second,used_bytes,reclaimable_bytes,limit_bytes`; or synthetic:NAME (diurnal, step, ramp, sawtooth, spikes, restart,
    /// noise, all)
    #[arg(long, value_name = "FILE|synthetic:NAME")]
    trace: String,
    /// Which strategies; all, side by side, if none is named
    #[arg(long, value_enum)]
    strategy: Vec<Name>,
    /// Where limits begin, in parts of the published one
    #[arg(long, default_values_t = [1.0], value_parser = start)]
    start: Vec<f64>,
    /// The one setting of `floor`: higher is fewer kills and more slack
    #[arg(long, default_value_t = 1.0, value_parser = caution)]
    caution: f64,
    /// What a whole limit is, where the trace has parts only (as in 8GB); without it no GiB-hours are shown
    #[arg(long, value_name = "SIZE", value_parser = published)]
    published: Option<u64>,
    /// Also the fronts: the least slack at so many out-of-memory steps, of `floor` and of the family "running maximum x a + b,
    /// shrinking by c per row"; takes some minutes
    #[arg(long)]
    front: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Fixed,
    Guide,
    Vpa,
    Floor,
}

impl Name {
    fn strategy(self) -> Strategy {
        match self {
            Name::Fixed => Strategy::Fixed,
            Name::Guide => Strategy::Guide,
            Name::Vpa => Strategy::Vpa,
            Name::Floor => Strategy::Floor,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Name::Fixed => "fixed",
            Name::Guide => "guide",
            Name::Vpa => "vpa",
            Name::Floor => "floor",
        }
    }
}

fn number(text: &str, within: RangeInclusive<f64>) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| within.contains(number))
        .ok_or_else(|| {
            let (least, most) = within.into_inner();
            format!("a number from {least} to {most} is needed")
        })
}

fn start(text: &str) -> Result<f64, String> {
    number(text, 0.05..=2.0)
}

fn caution(text: &str) -> Result<f64, String> {
    number(text, CAUTION)
}

fn published(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    match bytes {
        0 => Err("a limit of 0 is none".to_owned()),
        _ => Ok(bytes),
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let trace = trace(&args)?;
    let mut text = table(&trace, &args);
    if args.front {
        text += &front(&trace);
    }
    print(&text)
}

fn trace(args: &Args) -> Result<Trace, Failure> {
    let Some(name) = args.trace.strip_prefix("synthetic:") else {
        return read(Path::new(&args.trace), args.published);
    };
    synthetic(name).ok_or_else(|| {
        Failure::new(
            Failure::USAGE,
            format!(
                "--trace {}: no such shape; there are {} and all",
                args.trace,
                SHAPES.join(", ")
            ),
        )
    })
}

fn table(trace: &Trace, args: &Args) -> String {
    let names = if args.strategy.is_empty() {
        Name::value_variants().to_vec()
    } else {
        args.strategy.clone()
    };
    let rows = trace.pods.first().map_or(0, |pod| pod.samples.len());
    let step_s = trace.pods.first().map_or(0, |pod| pod.step_s());
    let mut table = Table::new([
        ("strategy", Align::Left),
        ("start", Align::Right),
        ("OOM steps", Align::Right),
        ("OOM minutes", Align::Right),
        ("OOM kills", Align::Right),
        ("above at start", Align::Right),
        ("slack/used", Align::Right),
        ("slack GiB-hours", Align::Right),
        ("resizes", Align::Right),
    ]);
    for name in names {
        for start in &args.start {
            let score = score(trace, Half::All, name.strategy(), args.caution, &[*start]);
            table.row(cells(name.word(), *start, &score, trace.sizes_known));
        }
    }
    format!(
        "{}: {} pods, {rows} rows of {step_s} s; caution {}\n\n{table}",
        trace.name,
        trace.pods.len(),
        args.caution
    )
}

fn cells(name: &str, start: f64, score: &Score, sizes_known: bool) -> [String; 9] {
    [
        name.to_owned(),
        start.to_string(),
        score.oom_steps.to_string(),
        format!("{:.1}", score.oom_seconds as f64 / 60.0),
        score.oom_kills.to_string(),
        score.oom_at_start.to_string(),
        format!("{:.3}", score.slack_ratio()),
        match sizes_known {
            true => format!("{:.2}", score.slack_gib_hours),
            false => "unknown".to_owned(),
        },
        score.resizes.to_string(),
    ]
}

fn front(trace: &Trace) -> String {
    let mut table = Table::new([
        ("pods", Align::Left),
        ("starts", Align::Left),
        ("steps at most", Align::Right),
        ("best of the family (a, b, c)", Align::Left),
        ("floor (caution)", Align::Left),
    ]);
    for half in [Half::HeldBack, Half::Tuned, Half::All] {
        for starts in [&[1.0][..], &[0.5, 1.0, 2.0]] {
            let Front { points, .. } = fronts(trace, half, starts, &[1, 3, 10], true);
            for point in points {
                table.row(front_cells(half, starts, &point));
            }
        }
    }
    format!(
        "\nThe least slack/used at no more than so many out-of-memory steps, all pods and starts together:\n\n{table}"
    )
}

fn front_cells(half: Half, starts: &[f64], point: &Point) -> [String; 5] {
    let half = match half {
        Half::Tuned => "tuned on",
        Half::HeldBack => "held back",
        Half::All => "all",
    };
    let starts: Vec<String> = starts.iter().map(f64::to_string).collect();
    let family = point
        .family
        .map_or("none".to_owned(), |(family, steps, slack)| {
            format!(
                "{slack:.3} with {steps} (x{} + {}, {} % of {:?})",
                family.factor,
                family.offset,
                family.shrink * 100.0,
                family.shrinks
            )
        });
    let ours = point
        .ours
        .map_or("none".to_owned(), |(caution, steps, slack)| {
            format!("{slack:.3} with {steps} ({caution:.2})")
        });
    [
        half.to_owned(),
        starts.join(", "),
        point.oom_steps_at_most.to_string(),
        family,
        ours,
    ]
}
