//! [`synthetic`]: shapes that every scaler meets.

use std::f64::consts::TAU;

use crate::simulate::{Pod, Sample, Trace};

/// What `synthetic:NAME` takes; `all` is all of them.
pub const SHAPES: [&str; 7] = [
    "diurnal", "step", "ramp", "sawtooth", "spikes", "restart", "noise",
];

const ROWS: u64 = 1440;
const ROW_S: u64 = 60;
/// Of each shape, from small to large.
const PODS: u64 = 4;

/// A day of four pods, row by row a minute; `None`: no such shape. The same each time.
pub fn synthetic(name: &str) -> Option<Trace> {
    let shapes: Vec<&str> = match name {
        "all" => SHAPES.to_vec(),
        "leak" => vec!["ramp"],
        _ => vec![SHAPES.into_iter().find(|shape| *shape == name)?],
    };
    let pods = shapes
        .into_iter()
        .flat_map(|shape| (0..PODS).map(move |number| pod(shape, number)));
    Some(Trace {
        name: format!("synthetic:{name}"),
        pods: pods.collect(),
        sizes_known: false,
    })
}

fn pod(shape: &str, number: u64) -> Pod {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15 ^ (number + 1) ^ (shape.len() as u64) << 32);
    // From a tenth of the published limit to seven tenths.
    let level = 0.1 + 0.2 * number as f64;
    let mut jump = 0.0;
    let samples = (0..ROWS).map(|row| {
        let day = row as f64 / ROWS as f64;
        let share = match shape {
            "diurnal" => level * (0.65 - 0.35 * (TAU * day).cos()),
            // Another level at six and at sixteen o'clock.
            "step" if (360..960).contains(&row) => level,
            "step" => level * 0.6,
            // A leak: from half of the level to all of it, and no more.
            "ramp" => level * (0.5 + 0.5 * day),
            "sawtooth" => level * (0.5 + 0.5 * (row % 120) as f64 / 120.0),
            // Each lasts three rows; none is much higher than those before.
            "spikes" if row % 90 < 3 => level * 0.85,
            "spikes" => level * 0.6,
            // Up within some minutes, and again after each of three restarts.
            "restart" => level * ((row % 480) as f64 / 12.0).min(1.0).max(0.2),
            _ => {
                jump = 0.8 * jump + 0.06 * (noise.next() - 0.5);
                level * (0.85 + jump)
            }
        };
        let share = share * (1.0 + 0.004 * (noise.next() - 0.5));
        Sample {
            second: row * ROW_S,
            used_bytes: (share * Trace::ASSUMED_BYTES as f64) as u64,
            reclaimable_bytes: None,
        }
    });
    Pod {
        name: format!("{shape}{number}"),
        published_bytes: Trace::ASSUMED_BYTES,
        samples: samples.collect(),
    }
}

/// Xorshift: the same numbers each time, from 0 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_the_same_each_time_and_fits_its_limit() {
        for shape in SHAPES.into_iter().chain(["leak", "all"]) {
            let trace = synthetic(shape).unwrap();
            assert_eq!(trace.pods, synthetic(shape).unwrap().pods);
            for pod in &trace.pods {
                let most = pod.samples.iter().map(|sample| sample.used_bytes).max();
                assert!(most.unwrap() < pod.published_bytes, "{}", pod.name);
                assert!(most.unwrap() > pod.published_bytes / 20, "{}", pod.name);
            }
        }
        assert_eq!(synthetic("nonsense"), None);
    }
}
