//! The hooks that are registered now.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::cleanup::CleanupHook;
#[cfg(feature = "telemetry")]
use crate::cleanup::claim::Claim;
use crate::cleanup::hook_stats::{HookStats, Tally};
use crate::cleanup::learned::{Learned, order};
use crate::sys::fork::{self, Snapshot};
#[cfg(feature = "telemetry")]
use crate::sys::wake::shielded;

/// A registered hook. Name and priority are asked for once, at registration.
pub(crate) struct Entry {
    id: u64,
    pub(crate) hook: Box<dyn CleanupHook>,
    pub(crate) name: String,
    pub(crate) priority: i32,
    /// Cleared when the registration is dropped: a cleanup under way skips it from then on.
    registered: AtomicBool,
    /// The process generation, plus 1, in which a runner is inside the hook, also after that runner was given up; else 0. A
    /// forked child has no such runner.
    running_in: AtomicU64,
    /// As `running_in`, of a thread that is inside its `estimate`.
    #[cfg(feature = "telemetry")]
    estimating_in: AtomicU64,
    /// What it said last.
    #[cfg(feature = "telemetry")]
    claim: Claim,
    /// How often it ran past its deadline.
    pub(crate) timeouts_total: AtomicU64,
    pub(crate) tally: Tally,
    pub(crate) learned: Learned,
}

impl Entry {
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }

    /// Whether a runner of this process is inside the hook.
    pub(crate) fn is_running(&self) -> bool {
        self.running_in.load(Ordering::Acquire) == fork::generation() + 1
    }

    /// Marks the hook as being called; `false` when it is already.
    pub(crate) fn begin_call(&self) -> bool {
        let here = fork::generation() + 1;
        self.running_in.swap(here, Ordering::AcqRel) != here
    }

    pub(crate) fn end_call(&self) {
        self.running_in.store(0, Ordering::Release);
    }

    /// What the hook says it could give back now. While it is in a call (a cache that is being emptied is often locked) and while another
    /// thread asks it, what it said last, unless that is old; `None` when it panics. Runs its code on this thread.
    #[cfg(feature = "telemetry")]
    pub(crate) fn estimate(&self) -> Option<u64> {
        let here = fork::generation() + 1;
        if self.is_running() || self.estimating_in.swap(here, Ordering::AcqRel) == here {
            return self.claim.last();
        }
        let mut estimate = None;
        shielded(|| estimate = self.hook.estimate());
        self.claim.now(estimate);
        self.estimating_in.store(0, Ordering::Release);
        estimate
    }

    /// What it said as it was called.
    pub(crate) fn said(&self, estimate: Option<u64>) {
        #[cfg(feature = "telemetry")]
        self.claim.now(estimate);
        #[cfg(not(feature = "telemetry"))]
        let _ = estimate;
    }

    pub(crate) fn stats(&self) -> HookStats {
        let timeouts_total = self.timeouts_total.load(Ordering::Relaxed);
        self.tally.stats(&self.name, timeouts_total)
    }
}

/// All registered hooks, highest priority first, then in the order of registration.
pub(crate) struct Registry {
    entries: Snapshot<Vec<Arc<Entry>>>,
    last_id: AtomicU64,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Registry {
            entries: Snapshot::new(Vec::new()),
            last_id: AtomicU64::new(0),
        }
    }

    pub(crate) fn register(self: &Arc<Self>, hook: Box<dyn CleanupHook>) -> CleanupRegistration {
        let entry = Arc::new(Entry {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            name: hook.name().to_owned(),
            priority: hook.priority(),
            hook,
            registered: AtomicBool::new(true),
            running_in: AtomicU64::new(0),
            #[cfg(feature = "telemetry")]
            estimating_in: AtomicU64::new(0),
            #[cfg(feature = "telemetry")]
            claim: Claim::new(),
            timeouts_total: AtomicU64::new(0),
            tally: Tally::default(),
            learned: Learned::new(),
        });
        let id = entry.id;
        self.entries.update(|entries| {
            let position = entries.partition_point(|other| other.priority >= entry.priority);
            let mut entries = entries.clone();
            entries.insert(position, entry);
            (entries, ())
        });
        CleanupRegistration {
            id,
            registry: Arc::downgrade(self),
        }
    }

    /// The hooks as of now, by priority and registration.
    pub(crate) fn entries(&self) -> Arc<Vec<Arc<Entry>>> {
        self.entries.load()
    }

    /// The hooks as of now, in the order in which they run.
    pub(crate) fn in_order(&self) -> Vec<Arc<Entry>> {
        order(&self.entries())
    }

    fn unregister(&self, id: u64) {
        // The removed entry leaves the lock inside the result: its hook's drop is user code.
        let removed = self.entries.update(|entries| {
            let mut kept = entries.clone();
            let position = kept.iter().position(|entry| entry.id == id);
            let removed = position.map(|position| kept.remove(position));
            (kept, removed)
        });
        if let Some(entry) = removed {
            entry.registered.store(false, Ordering::Release);
            // Hooks of one name are one in the figures, and those must not fall.
            if let Some(twin) = self.entries().iter().find(|twin| twin.name == entry.name) {
                let timeouts = entry.timeouts_total.load(Ordering::Relaxed);
                twin.timeouts_total.fetch_add(timeouts, Ordering::Relaxed);
                twin.tally.absorb(&entry.tally);
            }
        }
    }
}

/// Keeps a hook registered; dropping it unregisters the hook.
///
/// A cleanup may be inside the hook at that moment; none calls it any more after that. `std::mem::forget` keeps the hook for
/// good.
///
/// ```
/// use plimsoll::{CleanupFn, get_memory_manager};
///
/// let registration = get_memory_manager().register_cleanup(CleanupFn::new("cache", |_| 0u64));
/// drop(registration);
/// assert!(get_memory_manager().force_cleanup().hooks.is_empty());
/// ```
#[must_use = "dropping the registration unregisters the hook"]
pub struct CleanupRegistration {
    id: u64,
    registry: Weak<Registry>,
}

impl Drop for CleanupRegistration {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.unregister(self.id);
        }
    }
}

impl fmt::Debug for CleanupRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanupRegistration")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanup::CleanupFn;

    #[test]
    fn higher_priorities_come_first_and_equals_in_order_of_registration() {
        let registry = Arc::new(Registry::new());
        let register = |name: &str, priority| {
            registry.register(Box::new(CleanupFn::new(name, |_| ()).priority(priority)))
        };
        let _low = register("low", -1);
        let first = register("first", 0);
        let _high = register("high", 5);
        let _second = register("second", 0);
        let names =
            || -> Vec<String> { registry.entries().iter().map(|e| e.name.clone()).collect() };
        assert_eq!(names(), ["high", "first", "second", "low"]);
        drop(first);
        assert_eq!(names(), ["high", "second", "low"]);
    }

    #[test]
    fn a_hook_may_register_and_unregister_while_it_is_dropped() {
        struct Chatty(Arc<Registry>);
        impl Drop for Chatty {
            fn drop(&mut self) {
                drop(
                    self.0
                        .register(Box::new(CleanupFn::new("last words", |_| ()))),
                );
            }
        }
        let registry = Arc::new(Registry::new());
        let chatty = Chatty(Arc::clone(&registry));
        let registration = registry.register(Box::new(CleanupFn::new("chatty", move |_| {
            let _ = &chatty;
        })));
        drop(registration);
        assert!(registry.entries().is_empty());
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn an_estimate_is_the_last_one_during_a_call_unknown_after_a_panic_and_never_nested() {
        use crate::cleanup::{ClaimedBytes, CleanupRequest};
        use std::sync::OnceLock;

        #[derive(Default)]
        struct Curious {
            entry: OnceLock<Weak<Entry>>,
            asked: AtomicBool,
            nested: OnceLock<Option<u64>>,
            panics: AtomicBool,
        }
        impl CleanupHook for Curious {
            fn cleanup(&self, _: &CleanupRequest) -> ClaimedBytes {
                ClaimedBytes::UNKNOWN
            }
            fn estimate(&self) -> Option<u64> {
                assert!(!self.panics.load(Ordering::Relaxed), "as it was told");
                let entry = self.entry.get()?.upgrade()?;
                if !self.asked.swap(true, Ordering::Relaxed) {
                    self.nested.set(entry.estimate()).unwrap();
                }
                Some(7)
            }
        }
        let registry = Arc::new(Registry::new());
        let hook = Arc::new(Curious::default());
        let _registration = registry.register(Box::new(Arc::clone(&hook)));
        let entry = Arc::clone(&registry.entries()[0]);
        hook.entry.set(Arc::downgrade(&entry)).unwrap();

        assert_eq!(entry.estimate(), Some(7));
        assert_eq!(hook.nested.get(), Some(&None));
        assert!(entry.begin_call());
        assert_eq!(entry.estimate(), Some(7), "what it said last");
        entry.said(None);
        assert_eq!(entry.estimate(), None);
        entry.end_call();
        assert_eq!(entry.estimate(), Some(7));
        hook.panics.store(true, Ordering::Relaxed);
        assert_eq!(entry.estimate(), None);
        hook.panics.store(false, Ordering::Relaxed);
        assert_eq!(entry.estimate(), Some(7));
    }
}
