//! [`Site`]: the place in the program that a scope belongs to, and the crossings that wait to be told about.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::callsite::{self, CallSites};
use crate::meter::{self, ring};
use crate::scope::OnExceed;
use crate::scope::ledger::{self, Line};
use crate::scope::terms::Terms;
use crate::sys::clock;
use crate::sys::latest::Latest;
use crate::sys::list::{Link, Linked, StaticList};

/// A place in the program whose scopes are counted together.
///
/// The attribute makes one per function, [`MemoryLimit::enter`](crate::MemoryLimit::enter) one per name, or per file and line
/// without a name (4,096 of these at most, the rest share one named `other`), or you make one:
///
/// ```
/// static PARSE: plimsoll::Site = plimsoll::Site::new("parse");
/// assert_eq!(PARSE.name(), "parse");
/// assert!(PARSE.location().file().ends_with(".rs"));
/// ```
pub struct Site {
    name: Option<&'static str>,
    location: &'static Location<'static>,
    /// The number of its line in the ledger, plus 1; 0 before its first scope.
    line: AtomicU32,
    /// Crossings that are told about.
    loud_total: AtomicU64,
    /// Crossings under [`OnExceed::Shadow`].
    shadow_total: AtomicU64,
    told_total: AtomicU64,
    wants_cleanup: AtomicBool,
    last_crossing: Latest<3>,
    current_bytes: AtomicI64,
    link: Link<Site>,
}

impl Site {
    /// A site called `name`, at the place of this call.
    #[track_caller]
    pub const fn new(name: &'static str) -> Self {
        Site::at(Some(name), Location::caller())
    }

    const fn at(name: Option<&'static str>, location: &'static Location<'static>) -> Self {
        Site {
            name,
            location,
            line: AtomicU32::new(0),
            loud_total: AtomicU64::new(0),
            shadow_total: AtomicU64::new(0),
            told_total: AtomicU64::new(0),
            wants_cleanup: AtomicBool::new(false),
            last_crossing: Latest::new([const { AtomicU64::new(0) }; 3]),
            current_bytes: AtomicI64::new(0),
            link: Link::new(),
        }
    }

    /// Its name, or the file where it is when it has none.
    pub fn name(&self) -> &'static str {
        self.name.unwrap_or_else(|| self.location.file())
    }

    /// As metrics and events call it: its name, else the place, for a file may hold many.
    pub(crate) fn label(&self) -> String {
        self.name
            .map_or_else(|| self.location.to_string(), str::to_owned)
    }

    /// Where it is in the source.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// How many scopes of this site passed their limit, those that only count ([`OnExceed::Shadow`]) included.
    ///
    /// ```
    /// static PARSE: plimsoll::Site = plimsoll::Site::new("parse");
    /// assert_eq!(PARSE.exceeded_total(), 0);
    /// ```
    pub fn exceeded_total(&self) -> u64 {
        self.loud_total.load(Ordering::Relaxed) + self.shadow_total()
    }

    pub(super) fn shadow_total(&self) -> u64 {
        self.shadow_total.load(Ordering::Relaxed)
    }

    /// Its line in the ledger; [`Line::OTHER`] before its first scope has told anything.
    #[inline]
    pub(super) fn line(&self) -> Line {
        Line::from_index(self.line.load(Ordering::Relaxed).saturating_sub(1) as u16)
    }

    /// It has something to tell. Atomics only, and waits for nobody: may run inside the allocator.
    fn be_listed(&'static self) {
        if self.line.load(Ordering::Relaxed) == 0 {
            self.open_own_line();
        }
    }

    /// Only who lists it opens a line, so that two threads do not use up two. `None` when another thread is doing that.
    #[cold]
    fn open_own_line(&'static self) -> Option<u32> {
        SITES.add(self).then(|| {
            let line = u32::from(ledger::open_line().index()) + 1;
            self.line.store(line, Ordering::Relaxed);
            line
        })
    }

    /// One of its scopes has ended, and held up to `peak_bytes`.
    #[inline]
    pub(super) fn count(&'static self, peak_bytes: u64) {
        let mut line = self.line.load(Ordering::Relaxed);
        if line == 0 {
            line = self.open();
        }
        ledger::record(Line::from_index(line.wrapping_sub(1) as u16), peak_bytes);
    }

    /// Lists it and gives it a line, or waits for who does. Never inside the allocator.
    #[cold]
    #[inline(never)]
    fn open(&'static self) -> u32 {
        if let Some(line) = self.open_own_line() {
            return line;
        }
        // Another thread is opening it at this moment; should that vanish in a fork, its scopes count under `other`.
        for _ in 0..10_000 {
            let line = self.line.load(Ordering::Relaxed);
            if line != 0 {
                return line;
            }
            std::hint::spin_loop();
        }
        u32::from(Line::OTHER.index()) + 1
    }

    /// What its open scopes hold, to about an interval per scope.
    pub(super) fn current_bytes(&self) -> u64 {
        u64::try_from(self.current_bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// The same without the floor at 0.
    #[cfg(test)]
    pub(super) fn told_bytes(&self) -> i64 {
        self.current_bytes.load(Ordering::Relaxed)
    }

    /// An open scope holds so much more (or less) than it said before. One atomic, inside the allocator as well; none when nothing
    /// changed, as most futures end: all threads of the site would take turns at it.
    pub(super) fn add_current(&'static self, gained_bytes: i64) {
        if gained_bytes == 0 {
            return;
        }
        if gained_bytes > 0 {
            self.be_listed();
        }
        self.current_bytes
            .fetch_add(gained_bytes, Ordering::Relaxed);
    }

    /// A scope of this site passed its limit: counts it and leaves word for the worker. Atomics, the clock, and at most one futex
    /// wake: may run inside the allocator.
    #[cold]
    pub(super) fn note_crossing(&'static self, terms: Terms, used_bytes: i64) {
        self.be_listed();
        self.last_crossing
            .set([clock::monotonic_ns(), terms.limit_bytes, used_bytes as u64]);
        if terms.on_exceed() == OnExceed::Shadow {
            self.shadow_total.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if terms.wants_cleanup() {
            self.wants_cleanup.store(true, Ordering::Relaxed);
        }
        // Release: whoever sees this crossing counted sees what was stored above.
        self.loud_total.fetch_add(1, Ordering::Release);
        meter::ring_from_event(ring::EXCEEDED);
    }

    /// When its limit was passed last, and by what.
    ///
    /// ```
    /// use plimsoll::{MemoryLimit, Site};
    ///
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// static PARSE: Site = Site::new("parse");
    /// let scope = MemoryLimit::kib(64).at(&PARSE).enter();
    /// let kept = vec![1u8; 1 << 20];
    /// assert!(scope.check().is_err());
    /// let crossing = PARSE.last_crossing().unwrap();
    /// assert_eq!(crossing.limit_bytes, 64 << 10);
    /// assert!(crossing.used_bytes >= 1 << 20);
    /// # drop(kept);
    /// ```
    pub fn last_crossing(&self) -> Option<LimitCrossing> {
        let [at_ns, limit_bytes, used_bytes] = self.last_crossing.get()?;
        Some(LimitCrossing {
            limit_bytes,
            used_bytes,
            age: Duration::from_nanos(clock::monotonic_ns().saturating_sub(at_ns)),
        })
    }
}

/// The moment at which a scope passed its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LimitCrossing {
    /// The limit.
    pub limit_bytes: u64,
    /// What the scope held when that was noticed: at most two intervals of the meter above the limit per thread, or one
    /// allocation.
    pub used_bytes: u64,
    /// How long ago.
    pub age: Duration,
}

/// `parse (src/parser.rs:12)`
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.location.file(), self.location.line());
        match self.name {
            Some(name) => write!(f, "{name} ({file}:{line})"),
            None => write!(f, "{file}:{line}"),
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site({self})")
    }
}

/// A site is equal to itself only.
impl PartialEq for Site {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Site {}

impl Linked for Site {
    fn link(&self) -> &Link<Site> {
        &self.link
    }
}

const MAX_SITES: usize = 4096;
static BY_PLACE: CallSites<Site, MAX_SITES, { 2 * MAX_SITES }> = CallSites::new();
static OTHER: Site = Site::new("other");
/// Every site that ever had a scope.
static SITES: StaticList<Site> = StaticList::new();

/// Every site that ever had a scope, the newest first.
pub(super) fn sites() -> impl Iterator<Item = &'static Site> {
    SITES.iter()
}

/// The site of a name, or of a call location for scopes without one.
#[inline]
pub(super) fn site_of(
    name: Option<&'static str>,
    location: &'static Location<'static>,
) -> &'static Site {
    BY_PLACE
        .get(
            callsite::key(name, location),
            || Site::at(name, location),
            |site| callsite::is_same((site.name, site.location), (name, location)),
        )
        .unwrap_or(&OTHER)
}

/// What happened at one site since it was last told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    pub(crate) site: &'static Site,
    /// Scopes that passed their limit since then.
    pub(crate) scopes: u64,
    /// The last one; `None` in the rare case that it was being written all the time.
    pub(crate) last: Option<LimitCrossing>,
    pub(crate) wants_cleanup: bool,
}

/// Visits every site with crossings that were not told yet, and counts them as told. For the worker alone.
pub(crate) fn drain_crossings(mut visit: impl FnMut(Crossing)) {
    for site in sites() {
        let total = site.loud_total.load(Ordering::Acquire);
        let told = site.told_total.swap(total, Ordering::Relaxed);
        if total != told {
            visit(Crossing {
                site,
                scopes: total - told,
                last: site.last_crossing(),
                wants_cleanup: site.wants_cleanup.swap(false, Ordering::Relaxed),
            });
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Site {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_site_per_name_and_per_location() {
        let here = Location::caller();
        let elsewhere = {
            #[track_caller]
            fn caller() -> &'static Location<'static> {
                Location::caller()
            }
            caller()
        };
        let named = site_of(Some("a name"), here);
        let elsewhere_in_memory: &'static str = "a name".to_owned().leak();
        assert_eq!(named, site_of(Some(elsewhere_in_memory), here));
        assert!(std::ptr::eq(named, site_of(Some("a name"), elsewhere)));
        assert!(!std::ptr::eq(named, site_of(Some("another"), here)));
        let plain = site_of(None, here);
        assert!(std::ptr::eq(plain, site_of(None, here)));
        assert!(!std::ptr::eq(plain, site_of(None, elsewhere)));
        assert_eq!(plain.name(), file!());
    }

    fn terms(on_exceed: OnExceed, wants_cleanup: bool) -> Terms {
        Terms::new(10, on_exceed, wants_cleanup)
    }

    #[test]
    fn crossings_add_up_until_they_are_told() {
        static SITE: Site = Site::new("crossings");
        SITE.be_listed();
        let told = || {
            let mut mine = None;
            drain_crossings(|crossing| {
                if std::ptr::eq(crossing.site, &SITE) {
                    let used_bytes = crossing.last.unwrap().used_bytes;
                    mine = Some((crossing.scopes, used_bytes, crossing.wants_cleanup));
                }
            });
            mine
        };
        SITE.note_crossing(terms(OnExceed::Warn, true), 11);
        SITE.note_crossing(terms(OnExceed::Error, false), 12);
        assert_eq!(told(), Some((2, 12, true)));
        assert_eq!(told(), None);
        SITE.note_crossing(terms(OnExceed::Panic, false), 13);
        assert_eq!(told(), Some((1, 13, false)));
        assert_eq!(SITE.exceeded_total(), 3);
    }

    #[test]
    fn what_is_known_of_a_crossing_is_of_one_crossing() {
        static SITE: Site = Site::new("together");
        assert_eq!(SITE.last_crossing(), None);
        let cross = |n: u64| {
            SITE.note_crossing(Terms::new(n, OnExceed::Shadow, false), 2 * n as i64);
        };
        std::thread::scope(|scope| {
            for writer in 0..2 {
                scope.spawn(move || (0..20_000).for_each(|n| cross(2 * n + writer)));
            }
            for _ in 0..20_000 {
                if let Some(crossing) = SITE.last_crossing() {
                    assert_eq!(crossing.used_bytes, 2 * crossing.limit_bytes);
                }
            }
        });
        cross(50_000);
        assert_eq!(SITE.last_crossing().unwrap().limit_bytes, 50_000);
    }

    #[test]
    fn a_shadow_crossing_is_counted_and_not_told() {
        static SITE: Site = Site::new("shadow");
        SITE.be_listed();
        SITE.note_crossing(terms(OnExceed::Shadow, true), 11);
        drain_crossings(|crossing| assert!(!std::ptr::eq(crossing.site, &SITE)));
        assert_eq!((SITE.exceeded_total(), SITE.shadow_total()), (1, 1));
        assert_eq!(SITE.last_crossing().unwrap().used_bytes, 11);
    }
}
