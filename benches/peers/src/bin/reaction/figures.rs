//! The rows of the table.

use Unit::{Micros, Millis, Number, Share, Times};

use crate::{futile, reclaim, requests, worker};

pub struct Figure {
    pub name: &'static str,
    pub unit: Unit,
    pub most: Option<f64>,
}

#[derive(Clone, Copy)]
pub enum Unit {
    Millis,
    Micros,
    Share,
    Times,
    Number,
}

impl Unit {
    pub fn of(self, value: f64) -> String {
        match self {
            Millis => format!("{value:.2} ms"),
            Micros => format!("{value:.1} us"),
            Share => format!("{:.3} %", value * 100.0),
            Times => format!("{value:.2}"),
            Number => format!("{value:.0}"),
        }
    }
}

const PRESSURE_P99: &str = "p99 of requests during hooks of cleanups by pressure / without";
const FORCED_P99: &str = "p99 of requests during forced cleanups, back to back / without";
const EVICTIONS_P99: &str = "p99 of requests during evictions without a manager / without";
const PURGES_P99: &str = "p99 of requests during purges without a hook / without";
const ARITHMETIC_P99: &str = "p99 of requests beside a thread that only calculates / without";
const WORK_P99: &str = "p99 of a request's work during hooks of cleanups by pressure / without, waits for a processor left out";
const CHURN_PAGES: &str = "the same where blocks are hardly written to";
const CHURN: &str = "churn at 85 % with cleanups in vain / at 50 %";

/// Figures that are one measured value over another.
const RATIOS: [(&str, &str, &str); 8] = [
    (PRESSURE_P99, requests::PRESSURE[1], requests::WITHOUT[1]),
    (FORCED_P99, requests::CLEANUPS[1], requests::WITHOUT[1]),
    (EVICTIONS_P99, requests::EVICTIONS[1], requests::WITHOUT[1]),
    (PURGES_P99, requests::PURGES[1], requests::WITHOUT[1]),
    (
        ARITHMETIC_P99,
        requests::ARITHMETIC[1],
        requests::WITHOUT[1],
    ),
    (WORK_P99, requests::WORK_P99[1], requests::WORK_P99[0]),
    (CHURN, futile::CHURN_85, futile::CHURN_50),
    (CHURN_PAGES, futile::CHURN_PAGES_85, futile::CHURN_PAGES_50),
];

impl Figure {
    /// By what the parts measured; `None` if they did not.
    pub fn value(&self, measured: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        match RATIOS.iter().find(|(name, ..)| *name == self.name) {
            Some((_, of, to)) => Some(measured(of)? / measured(to)?),
            None => measured(self.name),
        }
    }
}

const fn shown(name: &'static str, unit: Unit) -> Figure {
    Figure {
        name,
        unit,
        most: None,
    }
}

const fn at_most(name: &'static str, unit: Unit, most: f64) -> Figure {
    Figure {
        name,
        unit,
        most: Some(most),
    }
}

pub const FIGURES: &[Figure] = &[
    shown(reclaim::IDLE[0], Millis),
    at_most(reclaim::IDLE[1], Millis, 10.0),
    shown(reclaim::IDLE[2], Millis),
    shown(reclaim::IDLE[3], Millis),
    shown(reclaim::IDLE[4], Millis),
    shown(reclaim::IDLE[5], Millis),
    shown(reclaim::IDLE[6], Millis),
    shown(reclaim::IDLE[7], Millis),
    shown(reclaim::BUSY[0], Millis),
    shown(reclaim::BUSY[1], Millis),
    shown(reclaim::BUSY[2], Millis),
    shown(reclaim::BUSY[6], Millis),
    shown(reclaim::BUSY[7], Millis),
    at_most(worker::NORMAL_WORKER, Share, 0.002),
    shown(worker::NORMAL_OTHERS, Share),
    shown(worker::NORMAL_LOOK, Micros),
    shown(worker::ELEVATED_WORKER, Share),
    shown(worker::ELEVATED_LOOK, Micros),
    shown(futile::CHURN_WORKER_50, Share),
    at_most(PRESSURE_P99, Times, 1.5),
    shown(FORCED_P99, Times),
    shown(requests::WITHOUT[0], Micros),
    shown(requests::WITHOUT[1], Micros),
    shown(requests::WITHOUT[2], Micros),
    shown(requests::PRESSURE[0], Micros),
    shown(requests::PRESSURE[1], Micros),
    shown(requests::PRESSURE[2], Micros),
    shown(requests::CLEANUPS[0], Micros),
    shown(requests::CLEANUPS[1], Micros),
    shown(requests::CLEANUPS[2], Micros),
    shown(WORK_P99, Times),
    shown(requests::WORK_P99[0], Micros),
    shown(requests::WORK_P99[1], Micros),
    shown(requests::WORK_P99[2], Micros),
    shown(requests::WORK_P99[3], Micros),
    shown(requests::WORK_P99[4], Micros),
    shown(requests::WORK_P99[5], Micros),
    shown(EVICTIONS_P99, Times),
    shown(PURGES_P99, Times),
    shown(ARITHMETIC_P99, Times),
    shown(requests::SAMPLES, Number),
    shown(requests::RUNS, Number),
    shown(requests::HOOK, Millis),
    at_most(futile::COST, Share, 0.05),
    shown(futile::ALL_COST, Share),
    shown(futile::CLEANUPS, Number),
    shown(CHURN, Times),
    shown(CHURN_PAGES, Times),
    shown(futile::CHURN_50, Number),
    shown(futile::CHURN_85, Number),
    shown(futile::CHURN_PAUSED_85, Share),
    shown(futile::CHURN_THREADS_85, Share),
];
