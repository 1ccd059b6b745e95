//! [`fronts`]: how little slack is possible with how few kills, on pods that were tuned on and on pods that were not.

use crate::profile::Strategy;
use crate::simulate::family::{Family, FamilyScore, Shrinks};
use crate::simulate::replay::{Score, policy, replay};
use crate::simulate::{Pod, Trace};

/// The settings of ours that are tried: one number from bold to timid, each a twelfth more than the one before.
pub fn cautions() -> impl Iterator<Item = f64> {
    (0..78).map(|step| 0.05 * 1.08_f64.powi(step))
}

/// By the pods' order, so that nobody chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The first, third, fifth: constants were chosen on them.
    Tuned,
    /// The second, fourth, sixth.
    HeldBack,
    All,
}

impl Half {
    fn of(self, pods: &[Pod]) -> impl Iterator<Item = &Pod> {
        pods.iter().enumerate().filter_map(move |(number, pod)| {
            let taken = match self {
                Half::Tuned => number % 2 == 0,
                Half::HeldBack => number % 2 == 1,
                Half::All => true,
            };
            taken.then_some(pod)
        })
    }
}

/// The least slack at no more than so many out-of-memory steps in all replays together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub oom_steps_at_most: u64,
    /// The best of the whole family, with hindsight.
    pub family: Option<(Family, u64, f64)>,
    /// Ours, and its caution.
    pub ours: Option<(f64, u64, f64)>,
}

/// Both fronts over the same pods and starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    pub half: Half,
    pub starts: Vec<f64>,
    pub points: Vec<Point>,
}

/// Both fronts on one half, all starts summed up. `fine` has a hundred times the family's settings, and takes as much longer.
pub fn fronts(trace: &Trace, half: Half, starts: &[f64], at_most: &[u64], fine: bool) -> Front {
    let give_up_after = at_most.iter().copied().max().unwrap_or(0);
    let parts: Vec<Vec<f64>> = half.of(&trace.pods).map(parts).collect();
    let family: Vec<(Family, FamilyScore)> = grid(fine)
        .filter_map(|family| Some((family, sum(&family, &parts, starts, give_up_after)?)))
        .collect();
    let ours: Vec<(f64, Score)> = cautions()
        .map(|caution| {
            (
                caution,
                score(trace, half, Strategy::Floor, caution, starts),
            )
        })
        .collect();
    let points = at_most.iter().map(|at_most| {
        let family = family
            .iter()
            .filter(|(_, score)| score.oom_steps <= *at_most)
            .map(|(family, score)| (*family, score.oom_steps, score.slack_rows / score.used_rows))
            .min_by(|a, b| a.2.total_cmp(&b.2));
        let ours = ours
            .iter()
            .filter(|(_, score)| score.oom_steps <= *at_most)
            .map(|(caution, score)| (*caution, score.oom_steps, score.slack_ratio()))
            .min_by(|a, b| a.2.total_cmp(&b.2));
        Point {
            oom_steps_at_most: *at_most,
            family,
            ours,
        }
    });
    Front {
        half,
        starts: starts.to_vec(),
        points: points.collect(),
    }
}

/// One strategy over one half of the pods, all starts summed up.
pub fn score(trace: &Trace, half: Half, strategy: Strategy, caution: f64, starts: &[f64]) -> Score {
    let mut sum = Score::default();
    for pod in half.of(&trace.pods) {
        let policy = policy(strategy, caution, pod.published_bytes);
        for start in starts {
            sum.add(&replay(pod, &policy, *start));
        }
    }
    sum
}

fn parts(pod: &Pod) -> Vec<f64> {
    let published = pod.published_bytes as f64;
    pod.samples
        .iter()
        .map(|sample| sample.used_bytes as f64 / published)
        .collect()
}

/// `None`: more kills than anyone asked for.
fn sum(family: &Family, pods: &[Vec<f64>], starts: &[f64], most: u64) -> Option<FamilyScore> {
    let mut sum = FamilyScore::default();
    for pod in pods {
        for start in starts {
            let score = family.replay(pod, *start, most - sum.oom_steps);
            sum.oom_steps += score.oom_steps;
            sum.slack_rows += score.slack_rows;
            sum.used_rows += score.used_rows;
            if sum.oom_steps > most {
                return None;
            }
        }
    }
    Some(sum)
}

fn grid(fine: bool) -> impl Iterator<Item = Family> {
    let hundredths =
        |numbers: Vec<u32>| numbers.into_iter().map(|number| f64::from(number) / 100.0);
    let (factors, offsets, shrinks): (Vec<f64>, Vec<f64>, Vec<f64>) = if fine {
        (
            hundredths((100..=130).collect()).collect(),
            hundredths((0..=25).collect()).collect(),
            vec![
                0.0, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2,
                0.5, 1.0,
            ],
        )
    } else {
        (
            hundredths(vec![100, 102, 105, 110, 115]).collect(),
            hundredths(vec![0, 3, 4, 6, 8, 11, 12, 16, 18]).collect(),
            vec![0.0, 0.0005, 0.005, 0.015, 0.02, 1.0],
        )
    };
    let mut all = Vec::new();
    for reading in Shrinks::ALL {
        for factor in &factors {
            for offset in &offsets {
                for shrink in &shrinks {
                    all.push(Family {
                        shrinks: reading,
                        factor: *factor,
                        offset: *offset,
                        shrink: *shrink,
                    });
                }
            }
        }
    }
    all.into_iter()
}
