//! Our strategy against the rules of thumb, on real pods that nothing was tuned on, on synthetic shapes, and on a service whose
//! cache is full.

use std::env;
use std::path::{Path, PathBuf};

use plimsoll_fleet::profile::Strategy;
use plimsoll_fleet::simulate::{
    Half, SHAPES, Trace, fronts, policy, read, replay, score, synthetic,
};

const FILE: &str = "pod_memory_utilisation.csv.gz";

/// They are reference data and not part of the project; `PLIMSOLL_TRACES` says where else they are.
fn real_pods() -> Option<Trace> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = manifest.join("../../shared/data");
    let further = manifest.join("../../../shared/data");
    let folders = env::var_os("PLIMSOLL_TRACES")
        .map(PathBuf::from)
        .into_iter()
        .chain([beside, further]);
    let file = folders
        .map(|folder| folder.join(FILE))
        .find(|file| file.exists());
    let Some(file) = file else {
        eprintln!("SKIPPED: no {FILE}; set PLIMSOLL_TRACES to its folder");
        return None;
    };
    Some(read(&file, None).unwrap())
}

fn the_family_is_beaten(trace: &Trace, half: Half, starts: &[f64]) {
    // A hundredth of the rules that `simulate --front` tries, which takes minutes and whose figures the README has.
    for point in fronts(trace, half, starts, &[1, 3], false).points {
        let (family, _, family_slack) = point.family.unwrap();
        let (caution, steps, slack) = point.ours.unwrap();
        assert!(steps <= point.oom_steps_at_most);
        assert!(
            slack < family_slack,
            "{} {half:?} at {} steps from {starts:?}: {slack:.3} (caution {caution}), {family:?} has {family_slack:.3}",
            trace.name,
            point.oom_steps_at_most
        );
    }
}

#[test]
fn on_pods_held_back_from_tuning_the_whole_family_is_beaten() {
    let Some(trace) = real_pods() else { return };
    the_family_is_beaten(&trace, Half::HeldBack, &[1.0]);
    the_family_is_beaten(&trace, Half::HeldBack, &[0.5, 1.0, 2.0]);
}

#[test]
fn on_all_pods_the_whole_family_is_beaten() {
    let Some(trace) = real_pods() else { return };
    the_family_is_beaten(&trace, Half::All, &[1.0]);
}

#[test]
fn on_synthetic_shapes_the_whole_family_is_beaten() {
    let trace = synthetic("all").unwrap();
    the_family_is_beaten(&trace, Half::All, &[1.0]);
    the_family_is_beaten(&trace, Half::All, &[0.5, 1.0, 2.0]);
}

#[test]
fn one_setting_moves_along_the_front() {
    let Some(trace) = real_pods() else { return };
    let costs =
        [0.1, 1.0, 8.0].map(|caution| score(&trace, Half::All, Strategy::Floor, caution, &[1.0]));
    for pair in costs.windows(2) {
        assert!(pair[1].oom_steps < pair[0].oom_steps, "{costs:?}");
        assert!(pair[1].slack_ratio() > pair[0].slack_ratio(), "{costs:?}");
    }
    let guide = score(&trace, Half::All, Strategy::Guide, 1.0, &[1.0]);
    let vpa = score(&trace, Half::All, Strategy::Vpa, 1.0, &[1.0]);
    for other in [guide, vpa] {
        assert!(
            costs[1].oom_steps < other.oom_steps && costs[1].slack_ratio() < other.slack_ratio()
        );
    }
    // As the orientation has it: 7 steps at 0.80.
    assert_eq!(guide.oom_steps, 7);
    assert!((guide.slack_ratio() - 0.80).abs() < 0.005);
}

#[test]
fn on_synthetic_shapes_only_a_step_out_of_nothing_kills() {
    for shape in SHAPES {
        let trace = synthetic(shape).unwrap();
        let [guide, floor] = [Strategy::Guide, Strategy::Floor]
            .map(|strategy| score(&trace, Half::All, strategy, 1.0, &[1.0]));
        // Six hours of nothing, then two thirds more at once: the reserve covers the smallest pod, the others are killed once.
        let expected = if shape == "step" { 3 } else { 0 };
        assert_eq!(
            (floor.oom_steps, floor.oom_kills),
            (expected, expected),
            "{shape}"
        );
        assert!(
            floor.slack_ratio() < guide.slack_ratio(),
            "{shape}: {floor:?} {guide:?}"
        );
    }
    let all = synthetic("all").unwrap();
    let [vpa, floor] = [Strategy::Vpa, Strategy::Floor]
        .map(|strategy| score(&all, Half::All, strategy, 1.0, &[1.0]));
    assert!(floor.oom_steps < vpa.oom_steps && floor.slack_ratio() < vpa.slack_ratio());
}

#[test]
fn a_full_cache_is_no_reason_to_grow() {
    // Recorded from this project's example service in a cgroup of 256 MiB, its cache full; see README.md beside it.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/full_cache.csv");
    let trace = read(&file, None).unwrap();
    let pod = &trace.pods[0];
    let [guide, floor] = [Strategy::Guide, Strategy::Floor]
        .map(|strategy| replay(pod, &policy(strategy, 1.0, pod.published_bytes), 1.0));
    let fixed = replay(pod, &policy(Strategy::Fixed, 1.0, pod.published_bytes), 1.0);
    assert_eq!(
        [guide.oom_steps, floor.oom_steps, fixed.oom_steps],
        [0, 0, 0]
    );
    assert!(
        guide.slack_gib_hours > 2.0 * fixed.slack_gib_hours,
        "{guide:?}"
    );
    assert!(floor.slack_gib_hours <= fixed.slack_gib_hours, "{floor:?}");

    // Blind to what could be freed it grows as well.
    let mut blind = pod.clone();
    for sample in &mut blind.samples {
        sample.reclaimable_bytes = None;
    }
    let blind = replay(
        &blind,
        &policy(Strategy::Floor, 1.0, pod.published_bytes),
        1.0,
    );
    assert!(blind.slack_gib_hours > fixed.slack_gib_hours, "{blind:?}");
}
