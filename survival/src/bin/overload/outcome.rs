//! [`Outcome`]: everything that was counted, and whether the sums come out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_survival::{Latency, Leak, Reclaim, Report};

use crate::args::Args;
use crate::beside::{Done, LEAKY};
use crate::cache::CacheCounts;
use crate::clients::Tally;
use crate::library;
use crate::service::{Service, Total};
use crate::watch::Seen;

pub struct Outcome<'a> {
    pub args: &'a Args,
    pub lasted: Duration,
    pub working_set_bytes: u64,
    pub service: &'a Service,
    pub tally: &'a Tally,
    pub seen: &'a Seen,
    pub beside: Done,
    pub reclaim: Latency,
    pub recovery: Option<Duration>,
}

/// Who counted what.
struct Books {
    offered: u64,
    clients_accepted: u64,
    clients_refused: u64,
    clients_quantity: u64,
    neither: u64,
    service_accepted: u64,
    service_refused: u64,
    hits: u64,
    misses: u64,
    total: Total,
    cache: CacheCounts,
}

impl Outcome<'_> {
    pub fn report(self) -> Report {
        let manager = self.service.manager;
        let stats = manager.map(|manager| manager.stats());
        let counts = &self.service.counts;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tally = self.tally;
        let books = Books {
            offered: tally.offered,
            clients_accepted: tally.accepted,
            clients_refused: tally.refused,
            clients_quantity: tally.quantity,
            neither: tally.malformed + tally.lost + of(&counts.malformed),
            service_accepted: of(&counts.accepted),
            service_refused: of(&counts.refused),
            hits: of(&counts.hits),
            misses: of(&counts.misses),
            total: self.service.total(),
            cache: self.service.cache.counts(),
        };
        let leak = self.beside.leak.map(|leak| Leak {
            exceeded_total: manager.and_then(|manager| {
                let scopes = manager.scopes();
                let leaky = scopes.iter().find(|scope| scope.name == LEAKY)?;
                Some(leaky.exceeded_total)
            }),
            ..leak
        });
        Report {
            variant: Some(self.args.variant),
            managed: manager.is_some(),
            seconds: self.lasted.as_secs_f64(),
            limit_mib: self.args.limit_mib,
            cache_mib: self.args.cache_mib,
            working_set_bytes: self.working_set_bytes,
            offered: books.offered,
            accepted: books.service_accepted,
            refused: books.service_refused,
            refused_percent: books.service_refused as f64 * 100.0 / books.offered.max(1) as f64,
            goodput_per_s: books.service_accepted as f64 / self.lasted.as_secs_f64(),
            hits: books.hits,
            inserted: books.cache.inserted,
            evicted: books.cache.evicted,
            peak_percent: self.seen.peak_percent,
            samples_by_level: manager.map(|_| self.seen.samples_by_level),
            brake: manager.map(library::brake),
            cleanups: stats.map(|stats| stats.cleanups_total),
            recovery_ms: self.recovery.map(|recovery| recovery.as_millis() as u64),
            latency: tally.all().latency(),
            latency_in_cleanup: tally.in_cleanup.latency(),
            latency_outside: tally.outside.latency(),
            reclaim: manager.map(|_| Reclaim {
                at_most: self.reclaim,
                sample_ms: self.args.sample_ms,
            }),
            leak,
            file_read_bytes: self.beside.file_read_bytes,
            broken: books.broken(),
        }
    }
}

impl Books {
    /// The sums that do not come out.
    fn broken(&self) -> Vec<String> {
        let sums = [
            (
                "offered = accepted + refused",
                self.offered,
                self.clients_accepted + self.clients_refused,
            ),
            (
                "accepted by the service = answered to clients",
                self.service_accepted,
                self.clients_accepted,
            ),
            (
                "refused by the service = told to clients",
                self.service_refused,
                self.clients_refused,
            ),
            ("lost or malformed = 0", self.neither, 0),
            (
                "accepted = hits + misses",
                self.service_accepted,
                self.hits + self.misses,
            ),
            (
                "accepted = aggregated",
                self.service_accepted,
                self.total.events,
            ),
            (
                "quantity aggregated = quantity answered",
                self.total.quantity,
                self.clients_quantity,
            ),
            (
                "inserted = held + evicted",
                self.cache.inserted,
                self.cache.held + self.cache.evicted,
            ),
        ];
        let mut broken: Vec<String> = sums
            .into_iter()
            .filter(|(_, left, right)| left != right)
            .map(|(sum, left, right)| format!("{sum}: {left}, {right}"))
            .collect();
        // Two that miss the same event at once insert it once.
        if self.cache.inserted > self.misses {
            broken.push(format!(
                "inserted <= misses: {}, {}",
                self.cache.inserted, self.misses
            ));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> Books {
        Books {
            offered: 10,
            clients_accepted: 7,
            clients_refused: 3,
            clients_quantity: 70,
            neither: 0,
            service_accepted: 7,
            service_refused: 3,
            hits: 2,
            misses: 5,
            total: Total {
                events: 7,
                quantity: 70,
                ts_ms: 1,
            },
            cache: CacheCounts {
                inserted: 4,
                evicted: 1,
                held: 3,
                held_bytes: 300,
            },
        }
    }

    #[test]
    fn each_wrong_figure_breaks_a_sum() {
        assert_eq!(right().broken(), Vec::<String>::new());
        let wrong: [fn(&mut Books); 12] = [
            |books| books.offered += 1,
            |books| books.clients_accepted -= 1,
            |books| books.clients_refused += 1,
            |books| books.clients_quantity += 1,
            |books| books.neither += 1,
            |books| books.service_accepted += 1,
            |books| books.service_refused -= 1,
            |books| books.hits += 1,
            |books| books.total.events -= 1,
            |books| books.total.quantity -= 1,
            |books| books.cache.held -= 1,
            |books| {
                books.cache.inserted += 2;
                books.cache.held += 2;
            },
        ];
        for (n, change) in wrong.into_iter().enumerate() {
            let mut books = right();
            change(&mut books);
            assert!(!books.broken().is_empty(), "{n}");
        }
    }
}
