//! The doors through which user code enters the rooms below. They name what starts a manager when something is rung and
//! nobody listens, so that a program with nothing but an attribute warns and cleans up.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use crate::cleanup::{self, PeriodicCleanup};
use crate::manager::event;
use crate::manager::global::{stand_sentry, start_listener};
use crate::meter;
use crate::reserve::Reservation;
use crate::scope::{self, Limited, LimitedFuture, MemoryLimit, ScopeGuard, ScopeHandle};

/// What has to happen before a counter can ring. Called where it is rare, when a round is full.
fn prepare_counter() {
    meter::set_starter(start_listener);
}

/// What has to happen before a scope can have anything to tell: jemalloc's events, and somebody who listens. Called from a thread's
/// first scope; the process's first one does it.
fn prepare_scope() {
    meter::set_starter(start_listener);
    event::install();
    stand_sentry();
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
        scope::enter(self, Location::caller(), prepare_scope)
    }
}

/// Futures with a memory limit.
pub trait WithMemoryLimit: Future + Sized {
    /// This future under `limit`: each of its polls, and its drop, runs in a scope. Past the limit it is dropped at the end of the poll
    /// that passed it, and the result is the error.
    ///
    /// What it holds between polls stays counted, on whichever thread it is polled next; what other tasks do in between does not
    /// count. [`ScopeHandle::current`](crate::ScopeHandle::current) inside of it makes spawned tasks count as well. Needs no
    /// runtime. Another policy than the default [`OnExceed::Error`](crate::OnExceed::Error) holds if the limit says so: under `Warn`
    /// and `Shadow` the result is always `Ok`, under `Panic` the poll panics.
    ///
    /// ```
    /// use plimsoll::{MemoryLimit, WithMemoryLimit};
    ///
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// # futures::executor::block_on(async {
    /// let small = async { vec![1u8; 1000].len() };
    /// assert_eq!(small.with_memory_limit(MemoryLimit::mib(1)).await.unwrap(), 1000);
    ///
    /// let large = async { vec![1u8; 2 << 20] };
    /// let exceeded = large.with_memory_limit(MemoryLimit::mib(1)).await.unwrap_err();
    /// assert!(exceeded.peak_bytes >= 2 << 20);
    /// # });
    /// ```
    #[track_caller]
    fn with_memory_limit(self, limit: MemoryLimit) -> LimitedFuture<Self> {
        prepare_scope();
        scope::limited_future(self, limit, Location::caller())
    }
}

impl<F: Future> WithMemoryLimit for F {}

/// A scope under `limit`, begun: how a layer calls its service.
#[cfg(feature = "tower")]
#[inline]
pub(crate) fn limit_begun<F: Future>(
    limit: &MemoryLimit,
    location: &'static Location<'static>,
) -> LimitedFuture<F> {
    prepare_scope();
    scope::limited_begun(limit, location)
}

impl Reservation {
    /// Has `scope` spend this reservation: what the scope comes to hold from now on, on all its threads, is taken from what was
    /// promised, so that it is not counted twice. What ended scopes have left behind stays taken, and so does what somebody
    /// outside of the scopes frees. What the scopes free and others allocated comes off what they hold, down to nothing.
    ///
    /// A scope spends one reservation; `false` when it spends another already. Several scopes may spend the same.
    ///
    /// ```
    /// use plimsoll::{ByteSize, MemoryLimit, get_memory_manager};
    ///
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// let reservation = get_memory_manager().try_reserve(ByteSize::mib(8))?;
    /// let scope = MemoryLimit::mib(8).named("load").enter();
    /// assert!(reservation.spend_in(&scope.handle()));
    /// let table = vec![1u8; 6 << 20];
    /// scope.check().unwrap();
    /// assert!(reservation.unfilled_bytes() <= 2 << 20);
    /// # drop(table);
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    pub fn spend_in(&self, scope: &ScopeHandle) -> bool {
        scope.spend(Arc::clone(self.tab()))
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
        cleanup::tick(*self, Location::caller(), prepare_counter);
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

/// What `#[memory_limit]` makes of the body of an `async fn`.
#[track_caller]
pub fn limit_future<F: Future>(
    limit: MemoryLimit,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    prepare_scope();
    scope::limit_future(limit, Location::caller(), future)
}

/// What `#[memory_limit(on_exceed = "error")]` makes of the body of an `async fn`.
#[track_caller]
pub fn limit_result_future<F: Future>(
    limit: MemoryLimit,
    future: F,
) -> impl Future<Output = F::Output> + use<F>
where
    F::Output: Limited,
{
    prepare_scope();
    scope::limit_result_future(limit, Location::caller(), future)
}

/// What `#[periodic_cleanup]` puts first into a function.
#[inline]
#[track_caller]
pub fn tick(periodic: &PeriodicCleanup) {
    periodic.tick();
}
