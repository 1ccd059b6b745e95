//! [`PeriodicCleanup`]: a check every N calls, counted per thread.

use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::callsite::{self, CallSites, spread};
use crate::meter::{self, ring};

/// Every N calls, asks the worker to check whether a cleanup is needed. The caller never waits.
///
/// Calls are counted per thread and per site (the name, or else the place of the call), so counting costs little more than a
/// thread-local; a thread that ends hands its rest over to the others. A site keeps the interval it was first seen with.
///
/// ```
/// use plimsoll::PeriodicCleanup;
///
/// for event in 0..1000 {
///     PeriodicCleanup::every(100).tick();
///     // handle the event
/// }
/// let stats = plimsoll::get_memory_manager().stats();
/// assert_eq!(stats.periodic[0].requests_total, 10);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is counted until `tick` is called"]
pub struct PeriodicCleanup {
    interval_calls: u32,
    name: Option<&'static str>,
}

impl PeriodicCleanup {
    /// A check every `calls` calls; 0 counts as 1.
    ///
    /// ```
    /// static EVENTS: plimsoll::PeriodicCleanup = plimsoll::PeriodicCleanup::every(100);
    /// EVENTS.tick();
    /// ```
    pub const fn every(calls: u32) -> Self {
        PeriodicCleanup {
            interval_calls: if calls == 0 { 1 } else { calls },
            name: None,
        }
    }

    /// Names the site. Defaults to file and line of the call to `tick`.
    ///
    /// ```
    /// plimsoll::PeriodicCleanup::every(100).named("events").tick();
    /// ```
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }
}

/// What a periodic site has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeriodicStats {
    /// The site's name, or file and line.
    pub name: String,
    /// A request every so many calls.
    pub interval_calls: u32,
    /// Calls counted: whole rounds of live threads, and everything of threads that have ended.
    pub calls_total: u64,
    /// Checks requested.
    pub requests_total: u64,
}

const STRIPES: usize = 8;

/// Two cache lines apart: processors fetch them in pairs.
#[repr(align(128))]
struct Stripe(AtomicU64);

/// The shared side of a site.
struct Site {
    name: Option<&'static str>,
    location: &'static Location<'static>,
    interval_calls: u32,
    /// Rounds that were filled on one thread. In stripes, so that threads that count fast share no cache line.
    rounds: [Stripe; STRIPES],
    /// Calls that did not fill a round on their own thread.
    rest_calls: AtomicU64,
}

impl Site {
    const fn new(periodic: PeriodicCleanup, location: &'static Location<'static>) -> Self {
        Site {
            name: periodic.name,
            location,
            interval_calls: periodic.interval_calls,
            rounds: [const { Stripe(AtomicU64::new(0)) }; STRIPES],
            rest_calls: AtomicU64::new(0),
        }
    }

    fn full_round(&self, stripe: usize) {
        self.rounds[stripe % STRIPES]
            .0
            .fetch_add(1, Ordering::Relaxed);
        meter::ring_installed(ring::CHECK, self.location);
    }

    /// Adds calls that were not part of a round of one thread; the rests of many threads make rounds too.
    fn add_rest(&self, calls: u32) {
        let (calls, interval) = (u64::from(calls), u64::from(self.interval_calls));
        let before = self.rest_calls.fetch_add(calls, Ordering::Relaxed);
        if before / interval != (before + calls) / interval {
            meter::ring_installed(ring::CHECK, self.location);
        }
    }

    fn stats(&self) -> PeriodicStats {
        let interval = u64::from(self.interval_calls);
        let rounds: u64 = self
            .rounds
            .iter()
            .map(|stripe| stripe.0.load(Ordering::Relaxed))
            .sum();
        let rest_calls = self.rest_calls.load(Ordering::Relaxed);
        PeriodicStats {
            name: match self.name {
                Some(name) => name.to_owned(),
                None => format!("{}:{}", self.location.file(), self.location.line()),
            },
            interval_calls: self.interval_calls,
            calls_total: rounds * interval + rest_calls,
            requests_total: rounds + rest_calls / interval,
        }
    }
}

const MAX_SITES: usize = 256;
static SITES: CallSites<Site, MAX_SITES, { 2 * MAX_SITES }> = CallSites::new();
/// Counts for the sites that did not fit, in rounds of 100.
static OTHER: Site = Site::new(
    PeriodicCleanup::every(100).named("other"),
    Location::caller(),
);

const LOCAL_BITS: u32 = 5;

/// One thread's countdown for one site. Two sites that fall on the same place take turns, at the price of a hand-over.
struct Countdown {
    key: Cell<usize>,
    calls_left: Cell<u32>,
    site: Cell<Option<&'static Site>>,
}

/// Hands over what is counted when its thread ends.
struct HandOver {
    /// Which of a site's stripes this thread counts its rounds in.
    stripe: usize,
}

impl HandOver {
    fn new() -> Self {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        HandOver {
            stripe: THREADS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

thread_local! {
    // Without a destructor, so that counting need not ask whether it ran: `HAND_OVER` empties the places, and an empty place
    // leads to `turn`.
    static COUNTDOWNS: [Countdown; 1 << LOCAL_BITS] = const {
        [const {
            Countdown {
                key: Cell::new(0),
                calls_left: Cell::new(0),
                site: Cell::new(None),
            }
        }; 1 << LOCAL_BITS]
    };
    static HAND_OVER: HandOver = HandOver::new();
}

impl Countdown {
    /// Gives the calls of the round that is not full yet to the site.
    fn hand_over(&self) {
        if let Some(site) = self.site.take() {
            self.key.set(0);
            let calls = site.interval_calls - self.calls_left.get();
            if calls > 0 {
                site.add_rest(calls);
            }
        }
    }

    /// A round is full, or the place belongs to another site.
    #[cold]
    #[inline(never)]
    fn turn(
        &self,
        key: usize,
        periodic: PeriodicCleanup,
        location: &'static Location<'static>,
        prepare: fn(),
    ) {
        prepare();
        if HAND_OVER.try_with(|_| ()).is_err() {
            // The thread is ending and has handed over already.
            return site_of(key, periodic, location).add_rest(1);
        }
        if self.key.get() != key {
            self.hand_over();
            let site = site_of(key, periodic, location);
            self.key.set(key);
            self.site.set(Some(site));
            self.calls_left.set(site.interval_calls);
        }
        let left = self.calls_left.get() - 1;
        self.calls_left.set(left);
        if let Some(site) = self.site.get()
            && left == 0
        {
            self.calls_left.set(site.interval_calls);
            site.full_round(HAND_OVER.try_with(|thread| thread.stripe).unwrap_or(0));
        }
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        COUNTDOWNS.with(|countdowns| countdowns.iter().for_each(Countdown::hand_over));
    }
}

fn site_of(
    key: usize,
    periodic: PeriodicCleanup,
    location: &'static Location<'static>,
) -> &'static Site {
    SITES
        .get(
            key,
            || Site::new(periodic, location),
            |site| callsite::is_same((site.name, site.location), (periodic.name, location)),
        )
        .unwrap_or(&OTHER)
}

/// Counts one call at `location`; `prepare` runs before anything is rung. `periodic` is a copy: the address of a caller's own
/// would keep it in memory.
#[inline]
pub(crate) fn tick(periodic: PeriodicCleanup, location: &'static Location<'static>, prepare: fn()) {
    let key = callsite::key(periodic.name, location);
    COUNTDOWNS.with(|countdowns| {
        let countdown = &countdowns[spread(key, LOCAL_BITS)];
        let left = countdown.calls_left.get();
        if countdown.key.get() == key && left > 1 {
            countdown.calls_left.set(left - 1);
        } else {
            countdown.turn(key, periodic, location, prepare);
        }
    });
}

/// What all sites have counted.
pub(crate) fn periodic_stats() -> Vec<PeriodicStats> {
    let other = Some(OTHER.stats()).filter(|other| other.calls_total > 0);
    SITES.iter().map(Site::stats).chain(other).collect()
}
