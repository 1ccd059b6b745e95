//! What must hold of a run, and what does not. Pure.

use plimsoll_survival::{Report, Variant};

use crate::run::{Ending, Run, Twin};

/// The level must be Normal so soon after the load.
const RECOVERY_MS_AT_MOST: u64 = 5000;
const SIGKILL: i32 = 9;
/// What a shell makes of a child killed by it.
const KILLED_IN_A_SHELL: i32 = 137;

impl Run {
    /// By the kernel, for memory: the signal, and the kernel says so.
    pub fn was_killed(&self) -> bool {
        let signal = matches!(
            self.ending,
            Ending::Signal(SIGKILL) | Ending::Exited(KILLED_IN_A_SHELL)
        );
        signal && self.kills.is_some_and(|kills| kills > 0)
    }
}

/// One line for each thing that does not hold.
pub fn verdict(run: &Run) -> Vec<String> {
    let mut failures = Vec::new();
    let mut must = |holds: bool, words: &str| {
        if !holds {
            failures.push(words.to_owned());
        }
    };
    if run.twin == Twin::Unmanaged && run.variant.is_lethal() {
        must(
            run.was_killed(),
            "the kernel must kill it, or the load proves nothing",
        );
    } else if run.was_killed() {
        must(false, "the kernel must not kill it");
    } else {
        must(
            run.kills.unwrap_or(0) == 0,
            "the kernel must kill nothing in its cgroup",
        );
        must(run.ending == Ending::Exited(0), "it must end with status 0");
        match &run.report {
            Some(report) => {
                for sum in &report.broken {
                    must(false, &format!("sums must come out: {sum}"));
                }
                must(report.accepted > 0, "it must serve something");
                if run.twin == Twin::Managed {
                    managed(run, report, &mut must);
                }
            }
            None => must(false, "it must report"),
        }
    }
    let kernel = run.kernel.name();
    let name = format!("{kernel} {} {}", run.variant, run.twin.name());
    let fact = run.fact();
    failures
        .into_iter()
        .map(|failure| format!("{name}: {failure} ({fact})"))
        .collect()
}

fn managed(run: &Run, report: &Report, must: &mut impl FnMut(bool, &str)) {
    must(report.managed, "the manager must be installed");
    must(
        report
            .recovery_ms
            .is_some_and(|ms| ms <= RECOVERY_MS_AT_MOST),
        "the level must be Normal within 5 s after the load",
    );
    if run.variant.is_lethal() {
        let cleanups = report.cleanups.unwrap_or(0);
        must(
            cleanups > 0 && report.evicted > 0,
            "the manager must have had something to do",
        );
    }
    match run.variant {
        Variant::Reserved => {
            let [normal, above @ ..] = report.samples_by_level.unwrap_or_default();
            must(
                normal > 0 && above == [0; 3],
                "the level must be Normal the whole time",
            );
        }
        Variant::Leak => match &report.leak {
            Some(leak) => {
                must(
                    leak.refused > 0 && leak.name == "leaky" && leak.limit_bytes > 0,
                    "the leak must be refused at its limit, by name",
                );
                must(
                    leak.exceeded_total.is_some_and(|times| times > 0),
                    "the leak must be on the manager's list of scopes",
                );
            }
            None => must(false, "the leak must be reported"),
        },
        Variant::Halved => must(
            run.halved_ms.is_some(),
            "the limit must have been halved before the end",
        ),
        Variant::Pagecache => must(
            report
                .file_read_bytes
                .is_some_and(|bytes| bytes >= 2 * (run.limit_mib << 20)),
            "the hot file must have been read, all of it",
        ),
        _ => {}
    }
}

impl Twin {
    pub fn name(self) -> &'static str {
        match self {
            Twin::Unmanaged => "unmanaged",
            Twin::Managed => "managed",
            Twin::Reference => "reference",
        }
    }
}

impl Run {
    /// What became of it, in short.
    pub fn fact(&self) -> String {
        let after_s = self.lived_ms as f64 / 1000.0;
        if self.was_killed() {
            return format!("killed after {after_s:.1} s");
        }
        match self.ending {
            Ending::Exited(0) => format!("lived {after_s:.1} s"),
            Ending::Exited(code) => format!("exit {code} after {after_s:.1} s"),
            Ending::Signal(signal) => format!("signal {signal} after {after_s:.1} s"),
            Ending::Overran => format!("did not end in {after_s:.1} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Version;
    use plimsoll_survival::Leak;

    fn run(variant: Variant, twin: Twin) -> Run {
        Run {
            kernel: Version::V2,
            limit_mib: 128,
            variant,
            twin,
            ending: Ending::Exited(0),
            kills: (twin != Twin::Reference).then_some(0),
            lived_ms: 10_000,
            charged_percent: None,
            halved_ms: Some(4000),
            report: Some(Report {
                managed: twin == Twin::Managed,
                accepted: 5,
                recovery_ms: Some(100),
                samples_by_level: Some([9, 0, 0, 0]),
                evicted: 3,
                cleanups: Some(2),
                file_read_bytes: Some(256 << 20),
                leak: Some(Leak {
                    name: "leaky".to_owned(),
                    limit_bytes: 1,
                    refused: 1,
                    peak_bytes: 1,
                    exceeded_total: Some(1),
                }),
                ..Report::default()
            }),
        }
    }

    fn killed(variant: Variant, twin: Twin) -> Run {
        Run {
            ending: Ending::Signal(9),
            kills: Some(1),
            report: None,
            ..run(variant, twin)
        }
    }

    fn with(variant: Variant, change: impl FnOnce(&mut Report)) -> Run {
        let mut run = run(variant, Twin::Managed);
        change(run.report.as_mut().unwrap());
        run
    }

    #[test]
    fn what_should_be_is_accepted() {
        for variant in Variant::ALL {
            assert_eq!(verdict(&run(variant, Twin::Managed)), [""; 0]);
            assert_eq!(verdict(&run(variant, Twin::Reference)), [""; 0]);
            let unmanaged = if variant.is_lethal() { killed } else { run };
            assert_eq!(verdict(&unmanaged(variant, Twin::Unmanaged)), [""; 0]);
        }
    }

    #[test]
    fn an_unmanaged_twin_must_be_killed_by_the_kernel_for_memory() {
        let lived = run(Variant::Small, Twin::Unmanaged);
        let by_somebody = Run {
            kills: Some(0),
            ..killed(Variant::Small, Twin::Unmanaged)
        };
        let aborted = Run {
            ending: Ending::Signal(6),
            ..killed(Variant::Small, Twin::Unmanaged)
        };
        for run in [lived, by_somebody, aborted] {
            let failures = verdict(&run);
            assert!(
                failures[0].starts_with("v2 small unmanaged: the kernel must kill it"),
                "{failures:?}"
            );
        }
        assert!(!verdict(&killed(Variant::Reserved, Twin::Unmanaged)).is_empty());
    }

    #[test]
    fn each_failure_has_its_line() {
        use Variant::*;
        let table = [
            (killed(Small, Twin::Managed), "must not kill"),
            (killed(Small, Twin::Reference), "must not kill"),
            (
                Run {
                    ending: Ending::Exited(1),
                    ..run(Small, Twin::Managed)
                },
                "status 0",
            ),
            (
                Run {
                    ending: Ending::Overran,
                    ..run(Small, Twin::Managed)
                },
                "status 0",
            ),
            (
                Run {
                    report: None,
                    ..run(Small, Twin::Managed)
                },
                "must report",
            ),
            (
                Run {
                    kills: Some(1),
                    ..run(Small, Twin::Managed)
                },
                "kill nothing",
            ),
            (with(Small, |r| r.broken.push("1 = 2".to_owned())), "1 = 2"),
            (with(Small, |r| r.accepted = 0), "serve something"),
            (with(Small, |r| r.managed = false), "must be installed"),
            (with(Small, |r| r.recovery_ms = None), "within 5 s"),
            (with(Small, |r| r.recovery_ms = Some(5001)), "within 5 s"),
            (
                with(Reserved, |r| r.samples_by_level = Some([9, 1, 0, 0])),
                "the whole time",
            ),
            (
                with(Reserved, |r| r.samples_by_level = None),
                "the whole time",
            ),
            (with(Leak, |r| r.leak = None), "must be reported"),
            (
                with(Leak, |r| r.leak.as_mut().unwrap().refused = 0),
                "refused at its limit",
            ),
            (
                with(Leak, |r| r.leak.as_mut().unwrap().exceeded_total = None),
                "list of scopes",
            ),
            (
                Run {
                    halved_ms: None,
                    ..run(Halved, Twin::Managed)
                },
                "must have been halved",
            ),
            (
                with(Pagecache, |r| r.file_read_bytes = None),
                "must have been read",
            ),
            (
                with(Pagecache, |r| r.file_read_bytes = Some((256 << 20) - 1)),
                "all of it",
            ),
            (with(Small, |r| r.cleanups = Some(0)), "something to do"),
            (with(Tokio, |r| r.evicted = 0), "something to do"),
        ];
        for (run, part) in table {
            let failures = verdict(&run);
            assert!(
                failures.iter().any(|line| line.contains(part)),
                "{part}: {failures:?}"
            );
        }
    }
}
