//! What counts as in vain, with readings by script: the first ones of a cleanup, then the last one again and again.

use super::*;
use crate::cleanup::{CleanupFn, CleanupOutcome};
use crate::usage::fake::{usage, with_unused};

const MIB: u64 = 1 << 20;

/// Reads out its script. The target is what is used above the aim.
struct Script {
    readings: Mutex<Vec<Usage>>,
    aim_bytes: u64,
}

impl Host for Script {
    fn measure(&self) -> Usage {
        let mut readings = self.readings.lock();
        if readings.len() > 1 {
            readings.remove(0)
        } else {
            readings[0]
        }
    }

    fn target_bytes(&self, _: CleanupReason, usage: &Usage) -> u64 {
        usage.used_bytes.saturating_sub(self.aim_bytes)
    }

    fn supervise(&self) {}

    fn cleaned(&self, _: &Arc<CleanupReport>, _: bool, _: Option<u64>) {}

    fn tell(&self, _: &CleanupReport, _: bool) {}
}

/// Whether the next cleanup has to rest after one with these readings: RSS, and what of it is unused, in MiB.
fn rests_after(readings: &[(u64, u64)], aim_mib: u64, hooks: usize) -> bool {
    let reason = CleanupReason::Pressure;
    let reading = |&(rss, unused)| with_unused(usage(rss * MIB, Some(200 * MIB)), unused * MIB);
    let readings: Vec<_> = readings.iter().map(reading).collect();
    let now_used = *readings.last().unwrap();
    let before_bytes = readings[0].rss_bytes;
    let host: Arc<dyn Host> = Arc::new(Script {
        readings: Mutex::new(readings),
        aim_bytes: aim_mib * MIB,
    });
    let registry = Arc::new(Registry::new());
    let useless = || registry.register(Box::new(CleanupFn::new("useless", |_| ())));
    let _hooks: Vec<_> = (0..hooks).map(|_| useless()).collect();
    let runner = Runner::new(
        Arc::downgrade(&host),
        Arc::clone(&registry),
        Duration::from_secs(60),
    );
    let order = Order {
        reason,
        call_hooks: true,
        purge: true,
    };
    let start = Instant::now();
    let ticket = runner.submit(order).unwrap();
    let report = runner.wait(ticket, reason, || now_used);
    assert_eq!(report.outcome, CleanupOutcome::Cleaned);
    assert_eq!(report.before.rss_bytes, before_bytes);
    assert_eq!(report.after.rss_bytes, now_used.rss_bytes);
    // Before it began: no rest is over by then.
    let rests = !runner.has_rested(start, &usage(0, None));
    runner.stop();
    rests
}

#[test]
fn what_is_purged_before_the_hooks_is_not_their_yield() {
    // Before, after the first purge, after it all; the hooks free nothing that is measured.
    let useless = [(100, 5), (95, 0), (95, 0)];
    assert!(rests_after(&useless, 50, 1));
    // They have freed on threads of their own.
    assert!(!rests_after(&[(100, 5), (95, 0), (80, 0)], 50, 1));
    // The purge was enough, and the hooks were not asked; or there are none.
    assert!(!rests_after(&useless, 95, 1));
    assert!(!rests_after(&useless, 50, 0));
    // Nobody has given anything back.
    assert!(rests_after(&[(100, 0), (100, 0)], 50, 1));
    assert!(rests_after(&[(100, 0), (100, 0)], 50, 0));
}
