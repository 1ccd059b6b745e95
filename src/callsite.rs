//! One `'static` record per call site, found by a key that costs nothing to make: the address of its name or location.

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

    /// The record of `key`, made by `make` if this is the first call with it; `None` when there is no room.
    #[inline]
    pub(crate) fn get(&'static self, key: usize, make: impl FnOnce() -> T) -> Option<&'static T> {
        let place = self.places[spread(key, Self::PLACE_BITS)].load(Ordering::Acquire);
        if place >> 16 == key as u64 {
            return self.record(place);
        }
        self.search(key, make)
    }

    fn record(&'static self, place: u64) -> Option<&'static T> {
        self.records.get((place & 0xFFFF) as usize)?.get()
    }

    #[cold]
    fn search(&'static self, key: usize, make: impl FnOnce() -> T) -> Option<&'static T> {
        if key == 0 || (key as u64) >> KEY_BITS != 0 {
            return None;
        }
        let start = spread(key, Self::PLACE_BITS);
        let mut mine = None;
        let mut make = Some(make);
        for step in 0..MAX_PROBES {
            let place = &self.places[(start + step) & (PLACES - 1)];
            let mut found = place.load(Ordering::Acquire);
            if found == 0 {
                // The record is complete before its place names it, so whoever finds the place finds the record.
                let number = match mine {
                    Some(number) => number,
                    None => *mine.insert(self.claim(make.take()?)?),
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

    /// Every record that a key leads to.
    pub(crate) fn iter(&'static self) -> impl Iterator<Item = &'static T> {
        self.places
            .iter()
            .map(|place| place.load(Ordering::Acquire))
            .filter(|&place| place != 0)
            .filter_map(|place| self.record(place))
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
                        assert_eq!(SITES.get(key * 8, || key), Some(&key));
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
        assert_eq!(SITES.get(8, || 1), Some(&1));
        assert_eq!(SITES.get(16, || 2), Some(&2));
        assert_eq!(SITES.get(24, || 3), None);
        assert_eq!(SITES.get(8, || 4), Some(&1));
        assert_eq!(SITES.get(0, || 5), None);
        assert_eq!(SITES.get(1 << KEY_BITS, || 5), None);
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
            assert_eq!(SITES.get(key, || key), Some(&key));
        }
        for &key in &colliding {
            assert_eq!(SITES.get(key, || 0), Some(&key));
        }
    }
}
