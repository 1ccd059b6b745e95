//! [`MemoryLimit`]: how much a scope may use, and what happens past it.

use crate::bytes::ByteSize;
use crate::scope::Site;

/// What happens when a scope passes its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnExceed {
    /// One warning per site and second at most; the work goes on.
    #[default]
    Warn,
    /// As `Warn`, and [`checkpoint`](crate::checkpoint) fails inside the scope.
    Error,
    /// As `Error`, and leaving the scope panics: on the thread that ran it, outside the allocator.
    Panic,
    /// Only counts: no warning, no cleanup, nothing fails. For finding out what a limit would stop before it does.
    Shadow,
}

/// A bound on what a scope may hold: bytes allocated minus bytes freed by the threads that run it.
///
/// The counters are jemalloc's, so sizes are rounded up to size classes, and memory that another thread frees stays
/// charged here. A limit of 0 is passed by the first byte that stays.
///
/// ```
/// use plimsoll::MemoryLimit;
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let scope = MemoryLimit::mib(1).named("parse").enter();
/// let kept = vec![1u8; 2 << 20];
/// assert!(scope.check().is_err());
/// # drop(kept);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a limit bounds nothing until it is entered"]
pub struct MemoryLimit {
    pub(crate) bytes: u64,
    /// What was said; else a guard warns, and a future stops.
    pub(crate) on_exceed: Option<OnExceed>,
    pub(crate) cleanup_on_exceed: bool,
    pub(crate) name: Option<&'static str>,
    pub(crate) site: Option<&'static Site>,
}

impl MemoryLimit {
    /// A limit of `size`.
    ///
    /// ```
    /// let limit = plimsoll::MemoryLimit::new(plimsoll::ByteSize::kib(64));
    /// ```
    pub const fn new(size: ByteSize) -> Self {
        MemoryLimit {
            bytes: size.as_u64(),
            on_exceed: None,
            cleanup_on_exceed: true,
            name: None,
            site: None,
        }
    }

    /// A limit of `count` bytes.
    ///
    /// ```
    /// let limit = plimsoll::MemoryLimit::bytes(4096);
    /// ```
    pub const fn bytes(count: u64) -> Self {
        MemoryLimit::new(ByteSize::bytes(count))
    }

    /// A limit of `count` KiB.
    ///
    /// ```
    /// let limit = plimsoll::MemoryLimit::kib(64);
    /// ```
    pub const fn kib(count: u64) -> Self {
        MemoryLimit::new(ByteSize::kib(count))
    }

    /// A limit of `count` MiB.
    ///
    /// ```
    /// let limit = plimsoll::MemoryLimit::mib(100);
    /// ```
    pub const fn mib(count: u64) -> Self {
        MemoryLimit::new(ByteSize::mib(count))
    }

    /// Names the scope in warnings, errors and statistics. Defaults to file and line of the call to `enter`.
    ///
    /// ```
    /// let limit = plimsoll::MemoryLimit::mib(100).named("parse");
    /// ```
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Counts the scope under a site of its own making, instead of one per name or call location.
    ///
    /// ```
    /// use plimsoll::{MemoryLimit, Site};
    ///
    /// static PARSE: Site = Site::new("parse");
    /// let scope = MemoryLimit::mib(100).at(&PARSE).enter();
    /// ```
    pub const fn at(mut self, site: &'static Site) -> Self {
        self.site = Some(site);
        self
    }

    /// What happens past the limit. Defaults to [`OnExceed::Warn`], for a future with a limit to [`OnExceed::Error`].
    ///
    /// ```
    /// use plimsoll::{MemoryLimit, OnExceed};
    ///
    /// let limit = MemoryLimit::mib(100).on_exceed(OnExceed::Error);
    /// ```
    pub const fn on_exceed(mut self, on_exceed: OnExceed) -> Self {
        self.on_exceed = Some(on_exceed);
        self
    }

    /// Whether passing the limit requests a cleanup. Defaults to `true`.
    ///
    /// The cleanup purges; cleanup hooks run as well when the process is above its Elevated line. A function over its bound in
    /// a process that has room does not empty everybody's caches.
    ///
    /// ```
    /// let limit = plimsoll::MemoryLimit::mib(100).cleanup_on_exceed(false);
    /// ```
    pub const fn cleanup_on_exceed(mut self, cleanup: bool) -> Self {
        self.cleanup_on_exceed = cleanup;
        self
    }
}
