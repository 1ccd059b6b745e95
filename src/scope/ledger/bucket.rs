//! [`Bucket`]: one of 433 ranges of bytes, each at most an eighth as wide as its lower edge.
//!
//! ```text
//! number   0        1 .. 8                     9 .. 16                   ..    425 .. 432
//! bytes    < 1 KiB  [1 KiB, 2 KiB) in eighths  [2 KiB, 4 KiB) in eighths ..    [2^63, 2^64) in eighths
//! ```

/// How many there are.
pub(crate) const BUCKETS: usize = 433;

/// Everything below 1 KiB is one bucket: counted as its largest size.
const SMALL_BYTES: u64 = 1023;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket(u32);

impl Bucket {
    /// The bucket that `bytes` fall into.
    #[inline]
    pub(crate) const fn of(bytes: u64) -> Self {
        const FIRST: u32 = raw(SMALL_BYTES);
        let bytes = if bytes > SMALL_BYTES {
            bytes
        } else {
            SMALL_BYTES
        };
        Bucket(raw(bytes) - FIRST)
    }

    /// Its place among all, from 0.
    #[inline]
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }

    pub(crate) const fn from_number(number: usize) -> Self {
        Bucket(number as u32)
    }

    /// Its upper edge, which is the lower edge of the next one; of the last one the largest number there is.
    pub(crate) fn upper_bytes(self) -> u64 {
        let (octave, eighth) = (self.0 / 8, self.0 % 8);
        let edge = u128::from(8 + eighth) << (7 + octave);
        u64::try_from(edge).unwrap_or(u64::MAX)
    }
}

/// The highest bit's position in units of eight, plus the three bits below it: grows by one from bucket to bucket.
#[inline]
const fn raw(bytes: u64) -> u32 {
    let octave = bytes.ilog2();
    // The highest bit goes round to the lowest place, the bits below it to the top.
    let eighth = bytes.rotate_right(octave) >> 61;
    octave * 8 + eighth as u32
}
