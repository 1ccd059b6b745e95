//! [`Reservation`]: a promise to allocate, given back when it is dropped.

use std::fmt;
use std::sync::Arc;

use crate::bytes::ByteSize;
use crate::meter::Tab;
use crate::reserve::{Pool, ReserveError};

/// Memory that is promised to somebody who is about to allocate it. Dropping it gives it back.
///
/// It does not allocate and does not stop anybody from allocating: it is an entry in the books, which says that this much
/// of the headroom is spoken for, and which other reservations respect. What the scopes that spend it hold comes off the
/// entry, because it is in the readings of memory by then: outstanding is reserved minus filled, never below zero and never
/// more than was reserved. Memory that is allocated and not touched yet is in no reading, and filled all the same.
///
/// In a forked child the reservations of the parent can be dropped, shrunk and split, and count for nothing.
///
/// ```
/// use plimsoll::{ByteSize, MemoryManager};
///
/// let manager = MemoryManager::builder().limit(ByteSize::gib(4)).build()?;
/// let mut reservation = manager.try_reserve(ByteSize::mib(64))?;
/// let header = reservation.split(ByteSize::mib(1))?;
/// reservation.shrink(ByteSize::mib(31));
/// assert_eq!(reservation.reserved_bytes(), 32 << 20);
/// assert_eq!(manager.stats().reserved_unfilled_bytes, 33 << 20);
/// drop((reservation, header));
/// assert_eq!(manager.stats().reserved_unfilled_bytes, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropped at once, it is given back at once"]
pub struct Reservation {
    pool: Arc<Pool>,
    tab: Arc<Tab>,
}

impl Reservation {
    /// For `bytes` that were claimed before.
    #[inline]
    pub(super) fn claimed(pool: &Arc<Pool>, bytes: u64) -> Self {
        pool.reserved(bytes);
        Reservation {
            tab: Arc::new(Tab::claimed(pool.outstanding(), bytes)),
            pool: Arc::clone(pool),
        }
    }

    /// How much is reserved, filled or not.
    ///
    /// ```
    /// # use plimsoll::{ByteSize, get_memory_manager};
    /// let reservation = get_memory_manager().try_reserve(ByteSize::kib(64))?;
    /// assert_eq!(reservation.reserved_bytes(), 64 << 10);
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    pub fn reserved_bytes(&self) -> u64 {
        self.tab.reserved_bytes()
    }

    /// How much of it no scope has filled, which is what counts against headroom.
    ///
    /// At most what is reserved: scopes that free what others allocated hold nothing, and not less. The other way round, what
    /// a scope allocated and somebody outside of it frees stays filled, and is not promised again.
    ///
    /// ```
    /// # use plimsoll::{ByteSize, get_memory_manager};
    /// let reservation = get_memory_manager().try_reserve(ByteSize::kib(64))?;
    /// assert_eq!(reservation.unfilled_bytes(), 64 << 10);
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    pub fn unfilled_bytes(&self) -> u64 {
        self.tab.unfilled_bytes()
    }

    /// Reserves `more`. Does not wait: whoever holds a part and waits for the rest can wait for somebody who does the same.
    ///
    /// ```
    /// # use plimsoll::{ByteSize, get_memory_manager};
    /// let mut reservation = get_memory_manager().try_reserve(ByteSize::kib(64))?;
    /// reservation.grow(ByteSize::kib(64))?;
    /// assert_eq!(reservation.reserved_bytes(), 128 << 10);
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    ///
    /// # Errors
    /// As [`try_reserve`](crate::MemoryManager::try_reserve); what is held already stays.
    pub fn grow(&mut self, more: ByteSize) -> Result<(), ReserveError> {
        let bytes = more.as_u64();
        self.pool.claim_here(bytes)?;
        self.tab.grow_claimed(bytes);
        self.pool.reserved(bytes);
        Ok(())
    }

    /// Gives back as much as `less`, and at most all.
    ///
    /// ```
    /// # use plimsoll::{ByteSize, get_memory_manager};
    /// let mut reservation = get_memory_manager().try_reserve(ByteSize::kib(64))?;
    /// reservation.shrink(ByteSize::kib(48));
    /// assert_eq!(reservation.reserved_bytes(), 16 << 10);
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    pub fn shrink(&mut self, less: ByteSize) {
        let bytes = self.tab.shrink(less.as_u64());
        self.pool.given_back(bytes);
    }

    /// Makes `part` of it a reservation of its own, for somebody else to spend and drop.
    ///
    /// ```
    /// # use plimsoll::{ByteSize, get_memory_manager};
    /// let mut reservation = get_memory_manager().try_reserve(ByteSize::kib(64))?;
    /// let part = reservation.split(ByteSize::kib(16))?;
    /// std::thread::spawn(move || drop(part));
    /// assert_eq!(reservation.reserved_bytes(), 48 << 10);
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    ///
    /// # Errors
    /// When less than `part` is unfilled: what scopes hold stays on the entry that they fill.
    pub fn split(&mut self, part: ByteSize) -> Result<Reservation, ReserveError> {
        let bytes = part.as_u64();
        match self.tab.split(bytes) {
            Some(tab) => Ok(Reservation {
                tab: Arc::new(tab),
                pool: Arc::clone(&self.pool),
            }),
            None => Err(ReserveError::AlreadyFilled {
                requested_bytes: bytes,
                unfilled_bytes: self.unfilled_bytes(),
            }),
        }
    }

    /// What the scopes that spend this reservation fill. A clone may outlive the reservation, and counts for nothing then.
    pub(crate) fn tab(&self) -> &Arc<Tab> {
        &self.tab
    }
}

impl Drop for Reservation {
    #[inline]
    fn drop(&mut self) {
        let bytes = self.tab.close();
        self.pool.given_back(bytes);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("reserved_bytes", &self.reserved_bytes())
            .field("unfilled_bytes", &self.unfilled_bytes())
            .finish()
    }
}
