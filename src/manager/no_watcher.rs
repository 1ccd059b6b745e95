//! The twin of `watcher.rs` where nothing tells: the ticks watch.

use std::sync::Arc;

use crate::explain::Finding;
use crate::manager::notices::{NoticeStats, Notices};
use crate::usage::{Bound, Gauge};

pub(super) struct Watcher(Notices);

pub(super) struct Plan;

impl Plan {
    pub(super) fn new(_gauge: &Gauge, _binding: Option<Bound>, _line_bytes: u64) -> Self {
        Plan
    }
}

impl Watcher {
    pub(super) fn new(_ring: impl Fn() -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Watcher(Notices::default()))
    }

    pub(super) fn notices(&self) -> &Notices {
        &self.0
    }

    pub(super) fn stats(&self) -> NoticeStats {
        self.0.stats(Vec::new())
    }

    pub(super) fn configure(self: &Arc<Self>, _plan: Plan) {}

    pub(super) fn stop(&self) {}

    pub(super) fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }
}
