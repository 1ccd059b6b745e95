//! Many connections at once, while memory grows short and is there again: the sums add up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plimsoll::layers::{Refusal, refused_total};
use plimsoll::telemetry::metrics;
use plimsoll::{MemoryManager, ScopeStats, Site};
use tokio::task::JoinSet;

use crate::app::{LARGE, OTHERS};
use crate::client::{Client, Outcome, block_on};
use crate::level::{falls, held_bytes, manager, memory_is_back, one_at_a_time, rises};
use crate::server::{Kind, Server};
use crate::support::wait_until;

const CONNECTIONS: usize = 64;
const PATHS: [&str; 4] = ["/small", "/held", "/large", "/health"];
/// Of each outcome in each phase.
const ENOUGH: u64 = 1000;

/// What all clients have seen so far.
#[derive(Default)]
struct Seen {
    served: AtomicU64,
    refused: AtomicU64,
    over: AtomicBool,
}

impl Seen {
    #[track_caller]
    fn wait_for_more(&self, what: &str, count: &AtomicU64) {
        let before = count.load(Ordering::Relaxed);
        wait_until(what, || count.load(Ordering::Relaxed) >= before + ENOUGH);
    }
}

type Tally = HashMap<(&'static str, Outcome), u64>;

/// One connection, which asks until it is over.
async fn asks(server: Arc<Server>, seen: Arc<Seen>) -> Tally {
    let mut tally = Tally::new();
    let mut client = Client::connect(&server).await;
    for path in PATHS.into_iter().cycle() {
        let outcome = client.ask(path).await;
        *tally.entry((path, outcome)).or_default() += 1;
        if outcome == Outcome::Served {
            seen.served.fetch_add(1, Ordering::Relaxed);
        } else {
            seen.refused.fetch_add(1, Ordering::Relaxed);
        }
        if seen.over.load(Ordering::Relaxed) {
            break;
        }
    }
    tally
}

/// Normal, High, and Normal again; returns what each connection has seen.
async fn through_all_levels(server: &Arc<Server>) -> Tally {
    let seen = Arc::new(Seen::default());
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(asks(Arc::clone(server), Arc::clone(&seen)));
    }
    seen.wait_for_more("served before", &seen.served);
    let held = rises();
    seen.wait_for_more("refused meanwhile", &seen.refused);
    drop(held);
    falls();
    seen.wait_for_more("served afterwards", &seen.served);
    seen.over.store(true, Ordering::Relaxed);
    let mut sum = Tally::new();
    for tally in clients.join_all().await {
        for (key, count) in tally {
            *sum.entry(key).or_default() += count;
        }
    }
    sum
}

fn scopes_of(site: &'static Site) -> ScopeStats {
    let mut scopes = manager().scopes().into_iter();
    scopes.find(|scopes| scopes.site == Some(site)).unwrap()
}

/// By the metric, in the order of the reasons.
fn refused_by_metric(manager: &MemoryManager) -> Vec<(String, f64)> {
    let mut metrics = metrics();
    let metric = metrics.find(|metric| metric.name() == "plimsoll_requests_refused_total");
    let mut samples = Vec::new();
    metric.unwrap().visit(&manager.snapshot(), |labels, value| {
        samples.push((labels.join(","), value.as_f64()));
    });
    samples
}

#[test]
fn what_clients_see_is_what_was_counted_and_nobody_pays_for_another() {
    let _one = one_at_a_time();
    for kind in Kind::ALL {
        block_on(async {
            let server = Arc::new(Server::start(kind).await);
            // Its site has a line from here on.
            let mut first = Client::connect(&server).await;
            assert_eq!(first.ask("/small").await, Outcome::Served);
            let exceeded = first.ask("/large").await;
            assert_eq!(exceeded, kind.refused_as(Refusal::Exceeded));
            drop(first);

            let reached = server.app.reached();
            let refused = [Refusal::Shed, Refusal::Exceeded].map(refused_total);
            let crossings = [&LARGE, &OTHERS].map(Site::exceeded_total);
            let calls = [&LARGE, &OTHERS].map(|site| scopes_of(site).calls_total);
            let before_bytes = held_bytes();

            let tally = through_all_levels(&server).await;

            let sum = |holds: &dyn Fn(&str, Outcome) -> bool| -> u64 {
                let held = tally
                    .iter()
                    .filter(|((path, outcome), _)| holds(path, *outcome));
                held.map(|(_, count)| count).sum()
            };
            let served = sum(&|_, outcome| outcome == Outcome::Served);
            let refused_large =
                sum(&|path, outcome| path == "/large" && outcome != Outcome::Served);
            let refused_others =
                sum(&|path, outcome| path != "/large" && outcome != Outcome::Served);
            assert_eq!(
                sum(&|path, outcome| path == "/health" && outcome != Outcome::Served),
                0
            );
            assert_eq!(
                sum(&|path, outcome| path == "/large" && outcome == Outcome::Served),
                0
            );

            // As the layers have counted.
            let [shed, exceeded] = [Refusal::Shed, Refusal::Exceeded].map(refused_total);
            let (shed, exceeded) = (shed - refused[0], exceeded - refused[1]);
            assert_eq!(shed + exceeded, refused_large + refused_others, "{tally:?}");
            assert!(
                shed >= refused_others && exceeded > 0 && refused_others > 0,
                "{tally:?}"
            );
            if kind == Kind::Grpc {
                let as_shed = Outcome::RefusedAs(Refusal::Shed);
                assert_eq!(sum(&|_, outcome| outcome == as_shed), shed, "{tally:?}");
            }
            // As the service has.
            assert_eq!(
                server.app.reached() - reached,
                served + exceeded,
                "{tally:?}"
            );
            assert_eq!(server.app.running(), 0);
            // As the sites have: only those requests passed their limit that held too much, and each was a scope of its own.
            assert_eq!(LARGE.exceeded_total() - crossings[0], exceeded);
            assert_eq!(OTHERS.exceeded_total(), crossings[1]);
            let [large, others] = [&LARGE, &OTHERS].map(scopes_of);
            assert_eq!(large.calls_total - calls[0], exceeded);
            assert_eq!(others.calls_total - calls[1], served);
            assert_eq!(
                (large.current_bytes, others.current_bytes),
                (Some(0), Some(0))
            );

            memory_is_back(before_bytes);
            let totals = [Refusal::Shed, Refusal::Exceeded];
            let totals =
                totals.map(|reason| (reason.name().to_owned(), refused_total(reason) as f64));
            wait_until("the snapshot of the next second", || {
                refused_by_metric(manager()) == totals
            });
        });
    }
}
