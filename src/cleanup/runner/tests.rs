//! What counts as in vain, with readings by script: the first ones of a cleanup, then the last one again and again.

use super::*;
use crate::cleanup::{CleanupFn, CleanupOutcome};
use crate::usage::fake::{usage, with_unused};
use Unused::{All, Enough};

const MIB: u64 = 1 << 20;

/// Reads out its script. The target is what is used above the aim.
struct Script {
    readings: Mutex<Vec<Usage>>,
    aim_bytes: u64,
}

impl Host for Script {
    fn measure(&self, _: Duration) -> Usage {
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

    fn enough_unused_bytes(&self) -> u64 {
        MIB
    }

    fn supervise(&self) {}

    fn cleaned(&self, _: &Arc<CleanupReport>, _: bool, _: Option<u64>) {}

    fn tell(&self, _: &CleanupReport, _: bool) {}
}

/// Whether the next cleanup has to rest after one with these readings: RSS, and what of it is unused, in MiB.
fn rests_after(readings: &[(u64, u64)], purge: Unused, aim_mib: u64, hooks: usize) -> bool {
    let kib: Vec<_> = readings
        .iter()
        .map(|(rss, unused)| (rss << 10, unused << 10))
        .collect();
    rests_after_kib(&kib, purge, aim_mib, hooks)
}

fn rests_after_kib(readings: &[(u64, u64)], purge: Unused, aim_mib: u64, hooks: usize) -> bool {
    const KIB: u64 = 1 << 10;
    let reason = CleanupReason::Pressure;
    let reading = |&(rss, unused)| with_unused(usage(rss * KIB, Some(200 * MIB)), unused * KIB);
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
        purge,
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
fn what_was_unused_before_the_hooks_is_not_their_yield() {
    // The hooks free nothing that is measured.
    let rests = |readings: &[_], purge, aim_mib| rests_after(readings, purge, aim_mib, 1);
    // Before, after the first purge, after the last.
    let all_goes_first = [(100, 5), (95, 0), (95, 0)];
    assert!(rests(&all_goes_first, All, 50));
    // They have freed on threads of their own.
    assert!(!rests(&[(100, 5), (95, 0), (80, 0)], All, 50));
    // Before and after the only purge.
    assert!(rests(&[(100, 5), (95, 0)], Enough, 50));
    // Some of it stays.
    assert!(rests(&[(100, 5), (97, 2)], Enough, 50));
    // On threads of their own, and that went back, or not yet.
    assert!(!rests(&[(100, 5), (80, 0)], Enough, 50));
    assert!(!rests(&[(100, 5), (100, 20)], Enough, 50));
    // The purge was enough, and the hooks were not asked; or there are none.
    assert!(!rests(&all_goes_first, All, 95));
    assert!(!rests_after(&all_goes_first, All, 50, 0));
    // Without hooks no more was to be had than the 1 MiB that is enough.
    let little = [(100 << 10, 500), (101_900, 0)];
    assert!(!rests_after_kib(&little, Enough, 50, 0));
    assert!(rests_after_kib(&little, Enough, 50, 1));
    // Nobody has given anything back.
    for purge in [Enough, All] {
        assert!(rests(&[(100, 0), (100, 0)], purge, 50));
        assert!(rests_after(&[(100, 0), (100, 0)], purge, 50, 0));
    }
}
