//! The table: a row for each kernel, variant and twin, over all its runs. Pure.

use crate::run::{Run, Twin};

const HEAD: [&str; 12] = [
    "kernel",
    "variant",
    "twin",
    "outcome",
    "kills",
    "goodput/s",
    "of ref %",
    "refused %",
    "pauses",
    "worst ms",
    "peak %",
    "recovery ms",
];
/// What does not apply or was not measured.
const NONE: &str = "-";

/// A line for each kernel and limit, as `cgroup v1, limit 128 MiB`.
pub fn limits(runs: &[Run]) -> String {
    let mut keys: Vec<_> = runs.iter().map(|run| (run.kernel, run.limit_mib)).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|(kernel, mib)| format!("cgroup {}, limit {mib} MiB\n", kernel.name()))
        .collect()
}

/// All `runs`, as a table in Markdown that reads well as it is.
pub fn table(runs: &[Run]) -> String {
    let mut keys: Vec<_> = runs
        .iter()
        .map(|run| (run.kernel, run.variant, run.twin))
        .collect();
    keys.sort();
    keys.dedup();
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (kernel, variant, twin) in keys {
        let of = |twin| -> Vec<&Run> {
            let these = |run: &&Run| (run.kernel, run.variant, run.twin) == (kernel, variant, twin);
            runs.iter().filter(these).collect()
        };
        rows.push(row(&of(twin), &of(Twin::Reference)));
    }
    layout(&rows)
}

fn row(runs: &[&Run], references: &[&Run]) -> [String; 12] {
    let first = runs[0];
    let worst = |figure: fn(&Run) -> Option<f64>| {
        let figures = runs.iter().filter_map(|run| figure(run));
        figures.fold(None, |worst: Option<f64>, figure| {
            Some(worst.map_or(figure, |worst| worst.max(figure)))
        })
    };
    let goodput = median_goodput(runs);
    let of_reference = match first.twin {
        Twin::Managed => goodput
            .zip(median_goodput(references))
            .map(|(goodput, reference)| goodput * 100.0 / reference),
        _ => None,
    };
    let killed = runs.iter().filter(|run| run.was_killed()).count();
    let known = runs.iter().any(|run| run.kills.is_some());
    [
        first.kernel.name().to_owned(),
        first.variant.to_string(),
        first.twin.name().to_owned(),
        outcome(runs),
        if known {
            format!("{killed}/{}", runs.len())
        } else {
            NONE.to_owned()
        },
        figure(goodput, 0),
        figure(of_reference, 0),
        figure(worst(|run| managed(run)?.refused_percent.into()), 1),
        figure(
            worst(|run| Some(managed(run)?.brake.as_ref()?.pauses_total as f64)),
            0,
        ),
        figure(
            worst(|run| Some(managed(run)?.brake.as_ref()?.worst_pause_us as f64 / 1000.0)),
            1,
        ),
        figure(worst(|run| run.report.as_ref()?.peak_percent), 1),
        figure(worst(|run| Some(managed(run)?.recovery_ms? as f64)), 0),
    ]
}

fn managed(run: &Run) -> Option<&plimsoll_survival::Report> {
    run.report.as_ref().filter(|report| report.managed)
}

/// Of one run what became of it, of several how long the killed ones lived, or how many ended as they should.
fn outcome(runs: &[&Run]) -> String {
    let killed = runs.iter().filter(|run| run.was_killed());
    let lethal = runs[0].variant.is_lethal();
    match (runs, killed.map(|run| run.lived_ms).max()) {
        ([_], None) | ([_, ..], None) if runs[0].twin == Twin::Unmanaged && !lethal => {
            "not lethal".to_owned()
        }
        ([run], _) => run.fact(),
        (_, Some(most_ms)) => {
            format!("killed within {:.1} s", most_ms as f64 / 1000.0)
        }
        (_, None) => {
            let lived = runs
                .iter()
                .filter(|run| run.ending == crate::run::Ending::Exited(0));
            format!("{} of {} lived", lived.count(), runs.len())
        }
    }
}

fn median_goodput(runs: &[&Run]) -> Option<f64> {
    let mut goodputs: Vec<f64> = runs
        .iter()
        .filter_map(|run| Some(run.report.as_ref()?.goodput_per_s))
        .collect();
    goodputs.sort_by(f64::total_cmp);
    let middle = goodputs.len() / 2;
    let upper = *goodputs.get(middle)?;
    Some(if goodputs.len() % 2 == 1 {
        upper
    } else {
        (goodputs[middle - 1] + upper) / 2.0
    })
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.digits$}"))
}

/// Words to the left, figures to the right.
fn layout<const N: usize>(rows: &[[String; N]]) -> String {
    const WORDS: usize = 4;
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, width))| {
                if column < WORDS {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: [String; N] = std::array::from_fn(|column| {
        let dashes = "-".repeat(widths[column].saturating_sub(1));
        if column < WORDS {
            format!("{dashes}-")
        } else {
            format!("{dashes}:")
        }
    });
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        text.push_str(&line(row));
        if n == 0 {
            text.push_str(&line(&rule));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Version;
    use crate::run::Ending;
    use plimsoll_survival::{Brake, Report, Variant};

    fn run(twin: Twin, goodput_per_s: f64) -> Run {
        Run {
            kernel: Version::V1,
            limit_mib: 128,
            variant: Variant::Small,
            twin,
            ending: Ending::Exited(0),
            kills: (twin != Twin::Reference).then_some(0),
            lived_ms: 10_000,
            charged_percent: None,
            halved_ms: None,
            report: Some(Report {
                managed: twin == Twin::Managed,
                goodput_per_s,
                refused_percent: 1.25,
                peak_percent: Some(88.04),
                recovery_ms: (twin == Twin::Managed).then_some(120),
                brake: (twin == Twin::Managed).then(|| Brake {
                    pauses_total: 12,
                    worst_pause_us: 2500,
                    ..Brake::default()
                }),
                ..Report::default()
            }),
        }
    }

    fn killed(lived_ms: u64) -> Run {
        Run {
            ending: Ending::Signal(9),
            kills: Some(1),
            lived_ms,
            report: None,
            ..run(Twin::Unmanaged, 0.0)
        }
    }

    #[test]
    fn one_run_of_each_says_it_all() {
        let runs = [
            run(Twin::Reference, 1000.0),
            run(Twin::Managed, 850.0),
            killed(730),
        ];
        let expected = "\
| kernel | variant | twin      | outcome            | kills | goodput/s | of ref % | refused % | pauses | worst ms | peak % | recovery ms |
| ------ | ------- | --------- | ------------------ | ----: | --------: | -------: | --------: | -----: | -------: | -----: | ----------: |
| v1     | small   | unmanaged | killed after 0.7 s |   1/1 |         - |        - |         - |      - |        - |      - |           - |
| v1     | small   | managed   | lived 10.0 s       |   0/1 |       850 |       85 |       1.2 |     12 |      2.5 |   88.0 |         120 |
| v1     | small   | reference | lived 10.0 s       |     - |      1000 |        - |         - |      - |        - |   88.0 |           - |
";
        assert_eq!(table(&runs), expected);
    }

    #[test]
    fn several_runs_share_a_row_of_medians_and_worst_cases() {
        let mut bad = run(Twin::Managed, 100.0);
        let report = bad.report.as_mut().unwrap();
        report.peak_percent = Some(99.0);
        report.recovery_ms = Some(900);
        let dead = Run {
            twin: Twin::Managed,
            ..killed(500)
        };
        let text = table(&[
            killed(700),
            killed(1900),
            run(Twin::Managed, 800.0),
            run(Twin::Managed, 600.0),
            bad,
        ]);
        let rows: Vec<&str> = text.lines().collect();
        assert!(
            rows[2].contains("killed within 1.9 s") && rows[2].contains(" 2/2 "),
            "{text}"
        );
        for part in ["3 of 3 lived", " 0/3 ", " 600 ", " 99.0 ", " 900 "] {
            assert!(rows[3].contains(part), "{part}: {text}");
        }
        let text = table(&[run(Twin::Managed, 800.0), dead]);
        assert!(
            text.contains("killed within 0.5 s") && text.contains(" 1/2 "),
            "{text}"
        );
    }

    #[test]
    fn each_kernel_has_rows_of_its_own() {
        let on_v2 = |run: Run| Run {
            kernel: Version::V2,
            limit_mib: 64,
            ..run
        };
        let runs = [
            on_v2(run(Twin::Managed, 70.0)),
            run(Twin::Managed, 850.0),
            run(Twin::Reference, 1000.0),
            on_v2(run(Twin::Reference, 100.0)),
        ];
        let text = table(&runs);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows.len(), 4, "{text}");
        for (row, begin, part) in [
            (rows[0], "| v1 ", "|       85 |"),
            (rows[1], "| v1 ", " reference "),
            (rows[2], "| v2 ", "|       70 |"),
            (rows[3], "| v2 ", " reference "),
        ] {
            assert!(row.starts_with(begin) && row.contains(part), "{text}");
        }
        assert_eq!(
            limits(&runs),
            "cgroup v1, limit 128 MiB\ncgroup v2, limit 64 MiB\n"
        );
    }

    #[test]
    fn a_load_that_fits_kills_nobody_and_says_so() {
        let mut fits = run(Twin::Unmanaged, 10.0);
        fits.variant = Variant::Reserved;
        assert!(table(&[fits]).contains("not lethal"));
    }
}
