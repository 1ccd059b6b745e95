//! A manager with something to tell, and what a snapshot of it says.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use plimsoll::telemetry::{Metric, Snapshot, metrics};
use plimsoll::{ByteSize, CleanupFn, CleanupRegistration, MemoryLimit, MemoryManager, Site};

use super::wait_until;

/// As a program might call a site by mistake or out of malice.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)>\"\n\\\0\x1b[31m{evil=\"1\"}";
/// The same with pictures for what is no text.
pub const VISIBLE: &str = "<img src=x onerror=alert(1)>\"\n\\\u{2400}\u{241b}[31m{evil=\"1\"}";

/// A sample's labels, and its value.
pub type Samples = BTreeMap<Vec<(String, String)>, f64>;

/// The installed manager after a cleanup, with a hook that has an estimate and a site that passed its limit.
pub fn manager() -> &'static MemoryManager {
    static SITE: Site = Site::new(HOSTILE);
    static MANAGER: OnceLock<&'static MemoryManager> = OnceLock::new();
    MANAGER.get_or_init(|| {
        let builder = MemoryManager::builder().limit(ByteSize::gib(8));
        let manager = builder.automatic_cleanup(false).install().unwrap();
        std::mem::forget(register(manager, HOSTILE));
        let limit = MemoryLimit::kib(64).cleanup_on_exceed(false);
        let scope = limit.at(&SITE).enter();
        let kept = vec![1u8; 1 << 20];
        assert!(scope.check().is_err());
        drop((scope, kept));
        manager.force_cleanup();
        wait_until("a snapshot from after the cleanup", || {
            manager.snapshot().stats().cleanups_total == 1
        });
        manager
    })
}

/// A hook with an estimate.
pub fn register(manager: &MemoryManager, name: &str) -> CleanupRegistration {
    manager.register_cleanup(CleanupFn::new(name, |_| ()).estimate(|| 123))
}

/// A snapshot that is this second's before `action` and after it.
pub fn within_a_second(mut action: impl FnMut(&Snapshot)) -> Arc<Snapshot> {
    let manager = manager();
    let mut snapshot = manager.snapshot();
    wait_until("all within a second", || {
        snapshot = manager.snapshot();
        action(&snapshot);
        Arc::ptr_eq(&snapshot, &manager.snapshot())
    });
    snapshot
}

/// All samples of `snapshot`, by metric.
pub fn figures(snapshot: &Snapshot) -> Vec<(&'static Metric, Samples)> {
    let mut all = Vec::new();
    for metric in metrics() {
        let mut samples = Samples::new();
        metric.visit(snapshot, |labels, value| {
            let names = metric.label_names().iter();
            let pair = |(name, label): (&&str, &&str)| (name.to_string(), label.to_string());
            let labels = names.zip(labels).map(pair).collect();
            assert!(samples.insert(labels, value.as_f64()).is_none());
        });
        if !samples.is_empty() {
            all.push((metric, samples));
        }
    }
    all
}

/// Whether a value is what the snapshot says; its own age is another with each look.
#[track_caller]
pub fn assert_same(metric: &Metric, found: &Samples, expected: &Samples) {
    let name = metric.name();
    if name == "plimsoll_reading_age_seconds" {
        let [found, expected] = [found, expected].map(|samples| samples[&vec![]]);
        assert!(0.0 < found && found <= expected, "{found} > {expected}");
    } else {
        assert_eq!(found, expected, "{name}");
    }
}

/// The hostile site is among them, fit to be shown.
#[track_caller]
pub fn assert_hostile_site(peaks: &Samples) {
    let labels = vec![("site".to_owned(), VISIBLE.to_owned())];
    assert!(peaks[&labels] >= (1 << 20) as f64, "{peaks:?}");
}
