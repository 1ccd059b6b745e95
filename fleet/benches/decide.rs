//! What a round of decisions costs, and that it grows with the services and no faster: `cargo bench -p plimsoll-fleet --bench decide`.

use std::hint::black_box;
use std::time::Instant;

use plimsoll_fleet::decide::{Action, History, Observation, Wanted, decide, share};
use plimsoll_fleet::profile::Strategy;
use plimsoll_fleet::simulate::policy;

const ROUNDS: usize = 20;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const MIB: u64 = 1 << 20;

fn main() {
    for strategy in [Strategy::Floor, Strategy::Vpa, Strategy::Guide] {
        let took_ms: Vec<f64> = SIZES
            .into_iter()
            .map(|services| round_ms(strategy, services))
            .collect();
        for (services, took_ms) in SIZES.iter().zip(&took_ms) {
            println!(
                "{strategy:?}: {services} services observed, decided and shared in {took_ms:.2} ms"
            );
        }
        println!(
            "{strategy:?}: ten times the services cost {:.1} and {:.1} times as much",
            took_ms[1] / took_ms[0],
            took_ms[2] / took_ms[1]
        );
    }
}

/// The best of some rounds, so that who else is on the machine does not count.
fn round_ms(strategy: Strategy, services: usize) -> f64 {
    let policy = policy(strategy, 1.0, 512 * MIB);
    let names: Vec<String> = (0..services)
        .map(|number| format!("service-{number}"))
        .collect();
    let mut histories = vec![History::default(); services];
    let mut limits = vec![512 * MIB; services];
    let mut best_ms = f64::INFINITY;
    for round in 0..ROUNDS {
        let at_s = 1_700_000_000 + 30 * round as u64;
        let began = Instant::now();
        let mut wanted: Vec<Wanted<'_>> = Vec::with_capacity(services);
        for (number, history) in histories.iter_mut().enumerate() {
            let used_bytes = MIB * (100 + (number * 7 + round * 13) as u64 % 400);
            let seen = Observation {
                at_s,
                used_bytes,
                reclaimable_bytes: Some(used_bytes / 3),
                limit_bytes: limits[number],
            };
            history.observe(&seen, &policy);
            wanted.push(Wanted {
                service: &names[number],
                limit_bytes: limits[number],
                priority: number as i32 % 5,
                verdict: decide(history, &policy, at_s),
            });
        }
        share(&mut wanted, 600 * MIB * services as u64);
        best_ms = best_ms.min(began.elapsed().as_secs_f64() * 1e3);
        for (number, one) in black_box(wanted).iter().enumerate() {
            if let Action::Grow { to_bytes } | Action::Shrink { to_bytes } = one.verdict.action {
                histories[number].resized(at_s, to_bytes);
                limits[number] = to_bytes;
            }
        }
    }
    best_ms
}
