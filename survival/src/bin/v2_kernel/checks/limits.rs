//! Limits that bind, move and go.

use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll::PressureLevel;

use super::{
    SOURCES, binding, binding_file, has_finding, install, must, must_be, notices, percent,
    wait_until,
};
use crate::Outcome;
use crate::cgroup::Cgroup;
use crate::filler::Filler;

const MIB: u64 = 1 << 20;

/// Above `memory.high` the level is High at least, and a managed thread that allocates goes on.
pub fn memory_high(top: &Cgroup) -> Outcome {
    let own = top.limited("own", 256)?;
    own.set_mib("memory.high", 64)?;
    own.join()?;
    let manager = install()?;
    wait_until("sources", || notices().sources == SOURCES)?;
    must_be("what binds", binding_file(), Some(("memory.high", 0)))?;
    let filler = Filler::start(&own, 100)?;
    wait_until("memory.high is passed", || percent() > 100.0)?;
    wait_until("High", || manager.pressure() >= PressureLevel::High)?;
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                black_box(vec![1u8; 64 << 10]);
                done.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut lowest = PressureLevel::Critical;
        let worked = wait_until("work that goes on", || {
            lowest = lowest.min(manager.pressure());
            done.load(Ordering::Relaxed) >= 500
        });
        stop.store(true, Ordering::Relaxed);
        worked?;
        must_be("what binds", binding_file(), Some(("memory.high", 0)))?;
        must(
            lowest >= PressureLevel::High,
            "High while memory.high is passed",
        )
    })?;
    must(own.current_bytes()? > 64 * MIB, "memory.high is passed")?;
    drop(filler);
    wait_until("Normal", || manager.pressure() == PressureLevel::Normal)?;
    must_be("kills", notices().kernel_kills_total, Some(0))
}

/// A limit that is lowered to what is used, and raised again, while the service runs.
pub fn limit_moves(top: &Cgroup) -> Outcome {
    let own = top.limited("own", 200)?;
    own.join()?;
    let manager = install()?;
    let limit_mib = || manager.usage().limit.bytes.map(|bytes| bytes / MIB);
    must_be("the limit", limit_mib(), Some(200))?;
    let _filler = Filler::start(&own, 60)?;
    wait_until("60 MiB", || percent() >= 30.0)?;
    must_be("the level", manager.pressure(), PressureLevel::Normal)?;
    let tight_mib = own.current_bytes()? / MIB + 3;
    own.set_mib("memory.max", tight_mib)?;
    wait_until("the lower limit", || limit_mib() == Some(tight_mib))?;
    wait_until("High", || manager.pressure() >= PressureLevel::High)?;
    own.set_mib("memory.max", 300)?;
    wait_until("the higher limit", || limit_mib() == Some(300))?;
    wait_until("Normal", || manager.pressure() == PressureLevel::Normal)?;
    own.set("memory.max", "max")?;
    wait_until("no limit of its own", || limit_mib() > Some(300))?;
    must_be("kills", notices().kernel_kills_total.unwrap_or(0), 0)
}

/// A small child under a full parent: the parent binds, and its limit is what the kernel kills by.
pub fn parent_binds(top: &Cgroup) -> Outcome {
    let parent = top.limited("parent", 96)?;
    parent.set("cgroup.subtree_control", "+memory")?;
    let own = parent.limited("own", 80)?;
    let neighbour = parent.limited("neighbour", 96)?;
    own.join()?;
    let manager = install()?;
    wait_until("sources", || notices().sources == SOURCES)?;
    must_be("what binds", binding_file(), Some(("memory.max", 0)))?;
    let full = Filler::spared(&neighbour, 82)?;
    wait_until("the parent", || binding_file() == Some(("memory.max", 1)))?;
    wait_until("High", || manager.pressure() >= PressureLevel::High)?;
    let bound = binding().ok_or("nothing binds")?;
    must_be("the limit", bound.limit_bytes, 96 * MIB)?;
    wait_until("the neighbour counts", || {
        binding().is_some_and(|bound| bound.used_bytes > 82 * MIB)
    })?;
    must_be(
        "the tightest limit",
        manager.usage().limit.bytes,
        Some(80 * MIB),
    )?;
    // It fits into our own limit, and not into the parent's.
    let mut killed = Filler::start(&own, 40)?;
    wait_until("the end of the third", || killed.has_ended())?;
    wait_until("a kill", || notices().kernel_kills_total == Some(1))?;
    let binds = binding_file();
    drop(full);
    must_be("what binds", binds, Some(("memory.max", 1)))?;
    wait_until("Normal", || manager.pressure() == PressureLevel::Normal)?;
    must_be("what binds", binding_file(), Some(("memory.max", 0)))
}

/// The process is moved, and the cgroup that it was in is removed: readings and what is told are those of the new one.
pub fn other_cgroup(top: &Cgroup) -> Outcome {
    let (first, second) = (top.limited("first", 128)?, top.limited("second", 80)?);
    first.join()?;
    let manager = install()?;
    let limit_mib = || manager.usage().limit.bytes.map(|bytes| bytes / MIB);
    wait_until("sources", || notices().sources == SOURCES)?;
    must_be("the limit", limit_mib(), Some(128))?;
    second.join()?;
    wait_until("an empty cgroup", || fs::remove_dir(first.dir()).is_ok())?;
    wait_until("the other limit", || limit_mib() == Some(80))?;
    wait_until("sources again", || notices().sources == SOURCES)?;
    // What was charged to the first went with it; the second's is what we have taken since.
    let bound = binding().ok_or("nothing binds")?;
    must(
        bound.used_bytes <= second.current_bytes()? + MIB,
        "the second's charge counts",
    )?;
    let mut filler = Filler::start(&second, 100)?;
    wait_until("the end of the neighbour", || filler.has_ended())?;
    wait_until("a kill in the second", || {
        notices().kernel_kills_total == Some(1)
    })?;
    for code in [
        "reading-failed",
        "memory-events-unavailable",
        "psi-unavailable",
    ] {
        must(!has_finding(code), code)?;
    }
    must(manager.usage().all_limits_known, "all limits are known")
}
