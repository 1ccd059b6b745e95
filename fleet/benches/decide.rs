//! What a round of decisions costs, what is kept of a service, and that both grow with the services and no faster:
//! `cargo bench -p plimsoll-fleet --bench decide`.

use std::hint::black_box;
use std::time::Instant;

use plimsoll_fleet::decide::{Action, History, Observation, Wanted, decide, share};
use plimsoll_fleet::profile::Strategy;
use plimsoll_fleet::simulate::policy;

const ROUNDS: usize = 20;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const MIB: u64 = 1 << 20;
/// Of `Strategy::Floor` with so many services.
const PROMISED_MS: (usize, f64) = (10_000, 20.0);
const PROMISED_BYTES: usize = 2048;

fn main() {
    for strategy in [Strategy::Floor, Strategy::Vpa, Strategy::Guide] {
        let mut before_ms = None;
        for services in SIZES {
            let Cost {
                took_ms,
                most_bytes,
            } = cost(strategy, services);
            let (of, within_ms) = PROMISED_MS;
            let is_slow = strategy == Strategy::Floor && services == of && took_ms > within_ms;
            println!(
                "{strategy:?}: {services} services observed, decided and shared in {took_ms:.2} ms{}; {most_bytes} bytes are kept of one{}",
                missed(is_slow),
                missed(most_bytes >= PROMISED_BYTES)
            );
            if let Some(before_ms) = before_ms.replace(took_ms) {
                println!(
                    "{strategy:?}: ten times the services cost {:.1} times as much",
                    took_ms / before_ms
                );
            }
        }
    }
}

fn missed(is_so: bool) -> &'static str {
    if is_so { " (missed)" } else { "" }
}

struct Cost {
    /// The best of some rounds, so that who else is on the machine does not count.
    took_ms: f64,
    /// What is kept of the largest.
    most_bytes: usize,
}

fn cost(strategy: Strategy, services: usize) -> Cost {
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
    let bytes = histories.iter().map(History::memory_bytes);
    Cost {
        took_ms: best_ms,
        most_bytes: bytes.max().unwrap_or(0),
    }
}
