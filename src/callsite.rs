//! One `'static` record per call site, found by a key that costs nothing to make: the address of its name or location.

use std::panic::Location;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Addresses of statics fit in 48 bits on every platform we run on; a key that does not gets no record.
const KEY_BITS: u32 = 48;
/// After this many occupied places a key counts as not findable: the table is as good as full.
const MAX_PROBES: usize = 32;

/// Spreads the addresses of statics, which differ in few bits, over a table of 2^`bits` places.
#[inline]
pub(crate) fn spread(key: usize, bits: u32) -> usize {
    // 2^64 divided by the golden ratio.
    ((key as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize
}

/// The key of a site: the address of its name, or of its location when it has none.
#[inline]
pub(crate) fn key(name: Option<&'static str>, location: &'static Location<'static>) -> usize {
    match name {
        Some(name) => name.as_ptr() as usize,
        None => std::ptr::from_ref(location) as usize,
    }
}

/// Whether two sites are one: by name, or by location when neither has a name.
pub(crate) fn is_same(a: (Option<&str>, &Location<'_>), b: (Option<&str>, &Location<'_>)) -> bool {
    match (a.0, b.0) {
        (None, None) => a.1 == b.1,
        (a, b) => a == b,
    }
}

/// The records of all call sites of one kind. Finding one is a multiplication and a load; making one happens once per
/// site and takes no lock. Nothing is ever removed.
///
/// `PLACES` is a power of two and at least twice `SITES`. Each place packs key and record number: `key << 16 | number`.
pub(crate) struct CallSites<T, const SITES: usize, const PLACES: usize> {
    places: [AtomicU64; PLACES],
    claimed: AtomicUsize,
    records: [OnceLock<T>; SITES],
}

impl<T: Send + Sync, const SITES: usize, const PLACES: usize> CallSites<T, SITES, PLACES> {
    const PLACE_BITS: u32 = {
        assert!(PLACES.is_power_of_two() && PLACES >= 2 * SITES && SITES < 1 << 16);
        PLACES.trailing_zeros()
    };

    pub(crate) const fn new() -> Self {
        CallSites {
            places: [const { AtomicU64::new(0) }; PLACES],
            claimed: AtomicUsize::new(0),
            records: [const { OnceLock::new() }; SITES],
        }
    }

    /// The record of `key`, made by `make` if no record is the `same`; `None` when there is no room.
    #[inline]
    pub(crate) fn get(
        &'static self,
        key: usize,
        make: impl FnOnce() -> T,
        same: impl Fn(&T) -> bool,
    ) -> Option<&'static T> {
        let place = self.places[spread(key, Self::PLACE_BITS)].load(Ordering::Acquire);
        if place >> 16 == key as u64 {
            return self.record(place);
        }
        self.search(key, make, same)
    }

    fn record(&'static self, place: u64) -> Option<&'static T> {
        self.records.get((place & 0xFFFF) as usize)?.get()
    }

    #[cold]
    fn search(
        &'static self,
        key: usize,
        make: impl FnOnce() -> T,
        same: impl Fn(&T) -> bool,
    ) -> Option<&'static T> {
        if key == 0 || (key as u64) >> KEY_BITS != 0 {
            return None;
        }
        // Full: what has no place yet gets none, without a search for its like.
        let full = self.claimed.load(Ordering::Relaxed) >= SITES;
        let start = spread(key, Self::PLACE_BITS);
        let mut mine = None;
        let mut make = Some(make);
        for step in 0..MAX_PROBES {
            let place = &self.places[(start + step) & (PLACES - 1)];
            let mut found = place.load(Ordering::Acquire);
            if found == 0 {
                if full {
                    return None;
                }
                // The record is complete before its place names it, so whoever finds the place finds the record.
                let number = match mine {
                    Some(number) => number,
                    None => {
                        let number = match self.number_of(&same) {
                            Some(number) => number,
                            None => self.claim(make.take()?)?,
                        };
                        *mine.insert(number)
                    }
                };
                let packed = (key as u64) << 16 | number as u64;
                match place.compare_exchange(0, packed, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => found = packed,
                    // Another site took this place; if it was this very site, our record stays unused.
                    Err(other) => found = other,
                }
            }
            if found >> 16 == key as u64 {
                return self.record(found);
            }
        }
        None
    }

    /// The linker may give one text, or one location, several addresses: those lead to the same record.
    fn number_of(&'static self, same: impl Fn(&T) -> bool) -> Option<usize> {
        self.records
            .iter()
            .take(self.claimed.load(Ordering::Relaxed))
            .position(|record| record.get().is_some_and(&same))
    }

    fn claim(&'static self, make: impl FnOnce() -> T) -> Option<usize> {
        let number = self
            .claimed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < SITES).then_some(n + 1)
            })
            .ok()?;
        self.records[number].set(make()).ok()?;
        Some(number)
    }

    /// Every record that a key leads to, once.
    pub(crate) fn iter(&'static self) -> impl Iterator<Item = &'static T> {
        let mut numbers: Vec<u64> = self
            .places
            .iter()
            .map(|place| place.load(Ordering::Acquire))
            .filter(|&place| place != 0)
            .map(|place| place & 0xFFFF)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| self.record(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_record_whoever_asks_first() {
        static SITES: CallSites<usize, 64, 128> = CallSites::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in 1..=15 {
                        assert_eq!(SITES.get(key * 8, || key, |_| false), Some(&key));
                    }
                });
            }
        });
        let mut seen: Vec<usize> = SITES.iter().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=15).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_table_and_a_key_that_does_not_fit_get_nothing() {
        static SITES: CallSites<usize, 2, 4> = CallSites::new();
        assert_eq!(SITES.get(8, || 1, |_| false), Some(&1));
        assert_eq!(SITES.get(16, || 2, |_| false), Some(&2));
        assert_eq!(SITES.get(24, || 3, |_| false), None);
        assert_eq!(SITES.get(8, || 4, |_| false), Some(&1));
        assert_eq!(SITES.get(0, || 5, |_| false), None);
        assert_eq!(SITES.get(1 << KEY_BITS, || 5, |_| false), None);
    }

    #[test]
    fn another_address_of_the_same_site_leads_to_its_record() {
        static SITES: CallSites<&str, 8, 16> = CallSites::new();
        let same = |record: &&str| *record == "name";
        let first = SITES.get(8, || "name", same).unwrap();
        assert!(std::ptr::eq(first, SITES.get(16, || "name", same).unwrap()));
        assert_eq!(SITES.iter().count(), 1);
    }

    #[test]
    fn keys_that_collide_keep_their_own_records() {
        static SITES: CallSites<usize, 128, 256> = CallSites::new();
        let place = spread(1, 8);
        let colliding: Vec<usize> = (1..100_000)
            .filter(|&key| spread(key, 8) == place)
            .take(20)
            .collect();
        for &key in &colliding {
            assert_eq!(SITES.get(key, || key, |_| false), Some(&key));
        }
        for &key in &colliding {
            assert_eq!(SITES.get(key, || 0, |_| false), Some(&key));
        }
    }
}
