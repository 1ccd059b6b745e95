//! The doors through which user code enters the rooms below. They name what starts a manager when something is rung and
//! nobody listens, so that a program with nothing but an attribute warns and cleans up.

use std::panic::Location;

use crate::cleanup::{self, PeriodicCleanup};
use crate::manager::global::start_listener;
use crate::meter;
use crate::scope::{self, Limited, MemoryLimit, ScopeGuard};

/// What has to happen before anything can be rung. Called where it is rare: from a thread's first scope, and from a counter
/// whose round is full.
fn prepare() {
    meter::set_starter(start_listener);
}

impl MemoryLimit {
    /// Enters a scope under this limit, on this thread.
    ///
    /// ```
    /// use plimsoll::MemoryLimit;
    ///
    /// let scope = MemoryLimit::mib(100).named("parse").enter();
    /// // work
    /// let report = scope.finish();
    /// println!("held up to {} bytes", report.peak_bytes);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn enter(self) -> ScopeGuard {
        scope::enter(self, Location::caller(), prepare)
    }
}

impl PeriodicCleanup {
    /// Counts one call.
    ///
    /// ```
    /// plimsoll::PeriodicCleanup::every(100).tick();
    /// ```
    #[inline]
    #[track_caller]
    pub fn tick(&self) {
        cleanup::tick(*self, Location::caller(), prepare);
    }
}

/// What `#[memory_limit]` puts first into a function.
#[inline]
#[track_caller]
pub fn enter(limit: MemoryLimit) -> ScopeGuard {
    limit.enter()
}

/// What `#[memory_limit(on_exceed = "error")]` wraps a function in.
#[inline]
#[track_caller]
pub fn limited<R: Limited>(limit: MemoryLimit, body: impl FnOnce() -> R) -> R {
    scope::limited(limit.enter(), body)
}

/// What `#[periodic_cleanup]` puts first into a function.
#[inline]
#[track_caller]
pub fn tick(periodic: &PeriodicCleanup) {
    periodic.tick();
}
