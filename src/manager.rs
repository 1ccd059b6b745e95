//! [`MemoryManager`]: the only place where the rooms meet.

mod builder;
mod churn;
mod config;
mod entry;
mod environment;
mod event;
mod findings;
mod global;
#[cfg(feature = "telemetry")]
mod kept;
mod lasting;
mod lines;
mod need;
mod notices;
mod shared;
#[cfg(feature = "telemetry")]
mod stalls;
mod stats;
mod warned;
#[cfg(target_os = "linux")]
mod watcher;
#[cfg(not(target_os = "linux"))]
#[path = "manager/no_watcher.rs"]
mod watcher;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::{BuildError, InstallError, MemoryManagerBuilder};
#[cfg(feature = "tower")]
pub(crate) use entry::limit_begun;
pub use entry::{WithMemoryLimit, enter, limit_future, limit_result_future, limited, tick};
pub use environment::{ENVIRONMENT, EnvironmentVariable};
pub use global::get_memory_manager;
#[cfg(feature = "page")]
pub(crate) use global::installed_memory_manager;
pub use notices::NoticeStats;
#[cfg(feature = "telemetry")]
pub(crate) use stalls::Stalls;
pub use stats::ManagerStats;

use crate::bytes::ByteSize;
use crate::cleanup::{CleanupHook, CleanupRegistration, CleanupReport};
use crate::explain::Finding;
use crate::meter::ring;
use crate::pressure::{
    NoCapacity, PressureChange, PressureChanged, PressureLevel, PressureSubscription,
    WaitingForCapacity,
};
use crate::reserve::{Reservation, ReserveError, Reserving, Source};
use crate::scope::{self, ScopeStats};
use crate::usage::Usage;
use shared::Shared;

/// Knows how much memory the process uses and out of how much, and gives memory back.
///
/// Most programs use the one of the process, [`get_memory_manager`]. A manager has two threads, `plimsoll-worker` (takes readings
/// once a second, ten times under pressure and more often where memory grows fast; decides) and `plimsoll-runner` (calls hooks,
/// purges), and a third, `plimsoll-watch`, where the kernel or systemd tells earlier than the next reading. Dropping a manager that is
/// not installed ends them; a runner that is inside a hook at that moment ends by itself when the hook returns.
///
/// ```
/// use plimsoll::{ByteSize, MemoryManager};
///
/// let manager = MemoryManager::builder().limit(ByteSize::mib(512)).build()?;
/// assert_eq!(manager.usage().limit.bytes, Some(512 << 20));
/// # Ok::<(), plimsoll::BuildError>(())
/// ```
pub struct MemoryManager {
    shared: Arc<Shared>,
}

impl MemoryManager {
    /// Starts building one; what is not set comes from the environment, and else from the defaults.
    ///
    /// ```
    /// let manager = plimsoll::MemoryManager::builder().max_memory_percent(75.0).build()?;
    /// # Ok::<(), plimsoll::BuildError>(())
    /// ```
    pub fn builder() -> MemoryManagerBuilder {
        MemoryManagerBuilder::new()
    }

    /// How much memory is used, out of how much. Costs a few microseconds, allocates nothing, and waits for no hook.
    ///
    /// The first call in a forked child opens its own instruments and starts its own threads, which does allocate.
    ///
    /// ```
    /// println!("{}", plimsoll::get_memory_manager().usage());
    /// ```
    pub fn usage(&self) -> Usage {
        self.shared.usage()
    }

    /// Cleans up if usage is above the High line, or if RSS grew past the threshold since the last cleanup. From the Elevated line on
    /// the manager does so by itself; this is for those who don't want to wait for it.
    ///
    /// Above the line hooks run until enough is measured to be free, and then the allocator gives its unused pages back; growth below
    /// the line does only the latter (a cache that warms up must not empty itself). Waits as [`force_cleanup`](Self::force_cleanup) does.
    ///
    /// ```
    /// use plimsoll::{CleanupOutcome, get_memory_manager};
    ///
    /// let report = get_memory_manager().check_and_cleanup();
    /// assert_eq!(report.outcome, CleanupOutcome::NotNeeded);
    /// ```
    pub fn check_and_cleanup(&self) -> CleanupReport {
        self.shared.check_and_cleanup()
    }

    /// Runs all hooks and purges, whatever the usage; waits for it, but not past the cleanup deadline. Then the report says
    /// [`TimedOut`](crate::CleanupOutcome::TimedOut) and the cleanup goes on without the caller.
    ///
    /// Safe to call with locks held that a hook wants: that hook times out, the others and the purge still run. From inside
    /// a hook it returns at once.
    ///
    /// ```
    /// let report = plimsoll::get_memory_manager().force_cleanup();
    /// println!("{} bytes returned", report.returned_bytes());
    /// ```
    pub fn force_cleanup(&self) -> CleanupReport {
        self.shared.force_cleanup()
    }

    /// As [`force_cleanup`](Self::force_cleanup), but returns at once; requests that arrive together share a cleanup.
    ///
    /// ```
    /// plimsoll::get_memory_manager().request_cleanup();
    /// ```
    pub fn request_cleanup(&self) {
        self.shared.threads();
        self.shared.bell.ring(ring::CLEAN);
    }

    /// Registers something that can give memory back, for as long as the registration lives.
    ///
    /// ```
    /// use plimsoll::{CleanupFn, get_memory_manager};
    ///
    /// let registration = get_memory_manager().register_cleanup(CleanupFn::new("cache", |_| 0u64));
    /// assert_eq!(get_memory_manager().stats().hooks, ["cache"]);
    /// ```
    pub fn register_cleanup(&self, hook: impl CleanupHook + 'static) -> CleanupRegistration {
        self.shared.threads();
        self.shared.registry.register(Box::new(hook))
    }

    /// Reserves memory before it is allocated, or says at once why it can't be had.
    ///
    /// Refused while headroom, without what is reserved and unfilled already and without what others wait for, is less than
    /// `size`, and at [`High`](PressureLevel::High) and above; a refusal always rests on a fresh reading. 0 bytes are always granted. As long as there is plenty, the
    /// worker's last reading is enough and a reservation costs some tens of nanoseconds; near the limit some microseconds.
    ///
    /// ```
    /// use plimsoll::{ByteSize, get_memory_manager};
    ///
    /// match get_memory_manager().try_reserve(ByteSize::mib(1)) {
    ///     Ok(_reservation) => { /* allocate; it is given back at the end of this arm */ }
    ///     Err(error) => eprintln!("busy: {error}"),
    /// }
    /// ```
    ///
    /// # Errors
    /// [`NoRoom`](ReserveError::NoRoom) or [`UnderPressure`](ReserveError::UnderPressure) now,
    /// [`AboveLimit`](ReserveError::AboveLimit) ever, or [`UnknownLimit`](ReserveError::UnknownLimit).
    #[inline]
    pub fn try_reserve(&self, size: ByteSize) -> Result<Reservation, ReserveError> {
        self.shared.pool().try_reserve(size.as_u64())
    }

    /// As [`try_reserve`](Self::try_reserve), but waits on this thread for as long as `timeout`. First come, first served:
    /// however many small requests come later, a big one gets its turn.
    ///
    /// While somebody waits the worker checks whether a cleanup is due. Whoever waits while it holds reservations that others
    /// wait for may wait in vain.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll::{ByteSize, get_memory_manager};
    ///
    /// let reservation = get_memory_manager().reserve_timeout(ByteSize::mib(1), Duration::from_secs(1))?;
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](ReserveError::TimedOut); at once what [`try_reserve`](Self::try_reserve) says and no wait can change; and
    /// [`ManagerGone`](ReserveError::ManagerGone).
    pub fn reserve_timeout(
        &self,
        size: ByteSize,
        timeout: Duration,
    ) -> Result<Reservation, ReserveError> {
        self.reserve(size).wait(timeout)
    }

    /// As [`reserve_timeout`](Self::reserve_timeout), for async code of any runtime and for as long as it takes. To stop
    /// waiting, drop the future.
    ///
    /// ```
    /// use plimsoll::{ByteSize, get_memory_manager};
    ///
    /// # futures::executor::block_on(async {
    /// let reservation = get_memory_manager().reserve(ByteSize::mib(1)).await?;
    /// # Ok::<(), plimsoll::ReserveError>(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// At once what [`try_reserve`](Self::try_reserve) says and no wait can change; and
    /// [`ManagerGone`](ReserveError::ManagerGone).
    pub fn reserve(&self, size: ByteSize) -> Reserving {
        Reserving::new(self.shared.pool(), size.as_u64())
    }

    /// How close to the limit the process is, as of the worker's last look: a few atomic loads, those included that notice a fork.
    ///
    /// ```
    /// let pressure = plimsoll::get_memory_manager().pressure();
    /// ```
    #[inline]
    pub fn pressure(&self) -> PressureLevel {
        self.shared.gauge();
        self.shared.watch().level()
    }

    /// Has `subscriber` called with every change of the level, for as long as the subscription lives.
    ///
    /// Each has a thread of its own, `plimsoll-notify`: one that is slow or hangs holds up neither the others nor the manager, a
    /// panic does not end later calls, and it may call whatever it likes, [`force_cleanup`](Self::force_cleanup) too. One that
    /// was slow is told once, from the level that it was told last to the level now, with cause and figures of the latest
    /// change; nothing, if the level is back there. What was before it subscribed it is not told.
    ///
    /// A thread that can't be started is a log line, and tried again at the next change; the subscriber is told then what it
    /// missed. In a forked child subscriptions go on, from the level at the fork.
    ///
    /// ```
    /// use plimsoll::{PressureLevel, get_memory_manager};
    ///
    /// let subscription = get_memory_manager().on_pressure(|change| {
    ///     if change.is_rise() && change.to >= PressureLevel::High {
    ///         eprintln!("shedding load: {change}");
    ///     }
    /// });
    /// ```
    pub fn on_pressure(
        &self,
        subscriber: impl Fn(&PressureChange) + Send + Sync + 'static,
    ) -> PressureSubscription {
        self.shared.threads();
        self.shared.watch().subscribe(subscriber)
    }

    /// The first change of the level after this call, as a future that needs no runtime; awaited again by `&mut`, the next one.
    /// [`PressureChanged`] has the example of a loop.
    ///
    /// ```
    /// let changed = plimsoll::get_memory_manager().pressure_changed();
    /// std::thread::spawn(|| {
    ///     if let Ok(change) = futures::executor::block_on(changed) {
    ///         println!("{change}");
    ///     }
    /// });
    /// ```
    ///
    /// # Errors
    /// [`ManagerGone`](crate::ManagerGone) when the manager is dropped, and in a forked child.
    pub fn pressure_changed(&self) -> PressureChanged {
        self.shared.threads();
        PressureChanged::new(self.shared.watch())
    }

    /// Waits until the level is below [`High`](PressureLevel::High), for async code of any runtime and for as long as it takes;
    /// not at all if it is already. To stop waiting, drop the future.
    ///
    /// The wait has the worker check whether a cleanup is due. All who wait are woken together, and each looks again when it
    /// is polled: those that come late, when the first have filled memory up already, go on waiting. Nothing is promised to
    /// anybody; who knows how much it will need should [`reserve`](Self::reserve) that, which lets in as many as fit.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// plimsoll::get_memory_manager().wait_for_capacity().await?;
    /// // take the next message off the queue
    /// # Ok::<(), plimsoll::ManagerGone>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ManagerGone`](crate::ManagerGone) when the manager is dropped, and in a forked child.
    pub fn wait_for_capacity(&self) -> WaitingForCapacity {
        if self.pressure() >= PressureLevel::High {
            self.shared.somebody_waits();
        }
        WaitingForCapacity::new(self.shared.watch())
    }

    /// As [`wait_for_capacity`](Self::wait_for_capacity), but waits on this thread, for as long as `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// plimsoll::get_memory_manager().wait_for_capacity_timeout(Duration::from_secs(1))?;
    /// # Ok::<(), plimsoll::NoCapacity>(())
    /// ```
    ///
    /// # Errors
    /// [`TimedOut`](NoCapacity::TimedOut), with the level at that moment; [`ManagerGone`](NoCapacity::ManagerGone) when the
    /// manager is dropped.
    pub fn wait_for_capacity_timeout(&self, timeout: Duration) -> Result<(), NoCapacity> {
        self.wait_for_capacity().wait(timeout)
    }

    /// Usage, the lines in force, and what was done so far.
    ///
    /// ```
    /// let stats = plimsoll::get_memory_manager().stats();
    /// assert_eq!(stats.max_memory_percent, 80.0);
    /// println!("{} cleanups so far", stats.cleanups_total);
    /// ```
    pub fn stats(&self) -> ManagerStats {
        stats::collect(&self.shared)
    }

    /// What the scopes of this process have used, site by site: first who holds most now, then who held most.
    ///
    /// Reads the ledger without stopping anybody; costs about a microsecond per site.
    ///
    /// ```
    /// use plimsoll::{MemoryLimit, get_memory_manager};
    ///
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// drop(MemoryLimit::mib(1).named("parse").enter());
    /// for scope in get_memory_manager().scopes() {
    ///     println!("{}: {} calls, up to {} bytes", scope.name, scope.calls_total, scope.peak_bytes);
    /// }
    /// ```
    pub fn scopes(&self) -> Vec<ScopeStats> {
        scope::scope_stats()
    }

    /// What is wrong with this set-up, worst first; empty when all is well.
    ///
    /// ```
    /// for finding in plimsoll::get_memory_manager().findings() {
    ///     eprintln!("{finding}");
    /// }
    /// ```
    pub fn findings(&self) -> Vec<Finding> {
        findings::collect(&self.shared, &self.usage())
    }

    /// The same, as of a reading that was just taken.
    #[cfg(feature = "telemetry")]
    pub(crate) fn findings_at(&self, usage: &Usage) -> Vec<Finding> {
        findings::collect(&self.shared, usage)
    }

    /// What each registered hook says it could give back now, by name, in the order of registration and priority. Calls the hooks' own
    /// code, on this thread: never from a thread of the library's, and under no lock.
    #[cfg(feature = "telemetry")]
    pub(crate) fn estimates(&self) -> Vec<(String, Option<u64>)> {
        let entries = self.shared.registry.entries();
        entries
            .iter()
            .map(|entry| (entry.name.clone(), entry.estimate()))
            .collect()
    }

    /// How long tasks of the own cgroup have waited for memory.
    #[cfg(feature = "telemetry")]
    pub(crate) fn stalls(&self) -> Stalls {
        Stalls::now(self.shared.gauge())
    }

    /// What a room above keeps with this manager.
    #[cfg(feature = "telemetry")]
    pub(crate) fn kept(&self) -> &kept::Kept {
        &self.shared.kept
    }
}

impl fmt::Debug for MemoryManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryManager")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl Drop for MemoryManager {
    fn drop(&mut self) {
        self.shared.stop();
    }
}
