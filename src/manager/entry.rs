//! The doors through which user code enters the rooms below. They name what starts a manager when something is rung and
//! nobody listens, so that a program with nothing but an attribute warns and cleans up.

use std::panic::Location;

use crate::cleanup::{self, PeriodicCleanup};
use crate::manager::global::start_listener;
use crate::meter;
use crate::scope::{self, Limited, MemoryLimit, ScopeGuard};

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
        meter::set_starter(start_listener);
        scope::enter(self, Location::caller())
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
        cleanup::tick(*self, Location::caller(), || {
            meter::set_starter(start_listener);
        });
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
