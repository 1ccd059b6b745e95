//! [`LimitExceeded`]: which limit, by how much.

use std::fmt;

use crate::bytes::ByteSize;
use crate::scope::Site;

/// A scope holds, or held, more than its limit.
///
/// ```
/// use plimsoll::MemoryLimit;
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let scope = MemoryLimit::kib(64).named("parse").enter();
/// let kept = vec![1u8; 1 << 20];
/// let exceeded = scope.check().unwrap_err();
/// assert_eq!(exceeded.site.name(), "parse");
/// assert_eq!(exceeded.limit_bytes, 64 << 10);
/// assert!(exceeded.peak_bytes >= 1 << 20);
/// # drop(kept);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LimitExceeded {
    /// The scope's site.
    pub site: &'static Site,
    /// Its limit.
    pub limit_bytes: u64,
    /// The most it was seen to hold; at least what it holds now.
    pub peak_bytes: u64,
    /// What it holds now; 0 when it freed more than it allocated.
    pub used_bytes: u64,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed its memory limit of {}: holds {}, held up to {}; free memory in it or raise its limit",
            self.site,
            ByteSize::bytes(self.limit_bytes),
            ByteSize::bytes(self.used_bytes),
            ByteSize::bytes(self.peak_bytes),
        )
    }
}

impl std::error::Error for LimitExceeded {}
