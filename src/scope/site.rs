//! [`Site`]: the place in the program that a scope belongs to, and the crossings that wait to be told about.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::callsite::{self, CallSites};
use crate::meter::{self, ring};
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
    exceeded_total: AtomicU64,
    told_total: AtomicU64,
    last_limit_bytes: AtomicU64,
    last_used_bytes: AtomicU64,
    wants_cleanup: AtomicBool,
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
            exceeded_total: AtomicU64::new(0),
            told_total: AtomicU64::new(0),
            last_limit_bytes: AtomicU64::new(0),
            last_used_bytes: AtomicU64::new(0),
            wants_cleanup: AtomicBool::new(false),
            link: Link::new(),
        }
    }

    /// Its name, or the file where it is when it has none.
    pub fn name(&self) -> &'static str {
        self.name.unwrap_or_else(|| self.location.file())
    }

    /// Where it is in the source.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// How many scopes of this site passed their limit.
    ///
    /// ```
    /// static PARSE: plimsoll::Site = plimsoll::Site::new("parse");
    /// assert_eq!(PARSE.exceeded_total(), 0);
    /// ```
    pub fn exceeded_total(&self) -> u64 {
        self.exceeded_total.load(Ordering::Relaxed)
    }

    /// A scope of this site passed its limit: counts it and leaves word for the worker. Atomics and at most one wake.
    #[cold]
    pub(super) fn note_crossing(
        &'static self,
        limit_bytes: u64,
        used_bytes: u64,
        wants_cleanup: bool,
    ) {
        self.last_limit_bytes.store(limit_bytes, Ordering::Relaxed);
        self.last_used_bytes.store(used_bytes, Ordering::Relaxed);
        if wants_cleanup {
            self.wants_cleanup.store(true, Ordering::Relaxed);
        }
        // Release: whoever sees this crossing counted sees what was stored above.
        self.exceeded_total.fetch_add(1, Ordering::Release);
        CROSSED.add(self);
        meter::ring_installed(ring::EXCEEDED, self.location);
    }
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
/// Every site that was ever crossed.
static CROSSED: StaticList<Site> = StaticList::new();

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
    /// Of the last one.
    pub(crate) limit_bytes: u64,
    pub(crate) used_bytes: u64,
    pub(crate) wants_cleanup: bool,
}

/// Visits every site with crossings that were not told yet, and counts them as told. For the worker alone.
pub(crate) fn drain_crossings(mut visit: impl FnMut(Crossing)) {
    for site in CROSSED.iter() {
        let total = site.exceeded_total.load(Ordering::Acquire);
        let told = site.told_total.swap(total, Ordering::Relaxed);
        if total != told {
            visit(Crossing {
                site,
                scopes: total - told,
                limit_bytes: site.last_limit_bytes.load(Ordering::Relaxed),
                used_bytes: site.last_used_bytes.load(Ordering::Relaxed),
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

    #[test]
    fn crossings_add_up_until_they_are_told() {
        static SITE: Site = Site::new("crossings");
        let told = || {
            let mut mine = None;
            drain_crossings(|crossing| {
                if std::ptr::eq(crossing.site, &SITE) {
                    mine = Some((crossing.scopes, crossing.used_bytes, crossing.wants_cleanup));
                }
            });
            mine
        };
        SITE.note_crossing(10, 11, true);
        SITE.note_crossing(10, 12, false);
        assert_eq!(told(), Some((2, 12, true)));
        assert_eq!(told(), None);
        SITE.note_crossing(10, 13, false);
        assert_eq!(told(), Some((1, 13, false)));
        assert_eq!(SITE.exceeded_total(), 3);
    }
}
