//! What can be wrong with a set-up, looked for one by one.

use std::sync::atomic::Ordering;

use crate::bytes::ByteSize;
use crate::explain::{Finding, Severity};
use crate::manager::shared::Shared;
use crate::meter::{self, Events};
use crate::sys::jemalloc;
use crate::usage::Usage;

pub(super) fn collect(shared: &Shared, usage: &Usage) -> Vec<Finding> {
    let mut findings = shared.config.findings.clone();
    findings.extend(allocator());
    findings.extend(meter(shared));
    findings.extend(reactions(shared));
    findings.extend(panic_strategy());
    findings.extend(limits(shared, usage));
    findings.extend(readings(shared));
    findings.extend(hooks(shared));
    findings.extend(threads(shared));
    findings.extend(shared.threads().watcher.findings());
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn allocator() -> Option<Finding> {
    (!jemalloc::is_global()).then(|| {
        Finding::new(
            "not-measured",
            Severity::Warning,
            "jemalloc is not the global allocator: heap figures are unknown, scopes measure nothing, no limit fires and no thread is braked",
            if cfg!(feature = "jemalloc") {
                "put `#[global_allocator] static A: plimsoll::Jemalloc = plimsoll::Jemalloc;` into the binary"
            } else {
                "build with the feature `jemalloc`, and make `plimsoll::Jemalloc` the binary's global allocator"
            },
        )
    })
}

fn meter(shared: &Shared) -> Option<Finding> {
    if !meter::is_installed(&shared.bell) {
        return None;
    }
    let wanted_bytes = shared.config.meter_interval_bytes;
    match meter::events() {
        Events::Unavailable if jemalloc::is_global() => Some(Finding::new(
            "no-thread-events",
            Severity::Warning,
            "this jemalloc has no thread events to spare: a limit is noticed at checks, checkpoints and exits, the process's lines at the next look, and no thread is braked",
            "let tikv-jemallocator build jemalloc itself, and leave it one of its four thread-event hooks",
        )),
        Events::EveryBytes(bytes) if bytes != wanted_bytes => Some(Finding::new(
            "meter-interval-fixed",
            Severity::Info,
            format!(
                "the meter looks every {}, not every {}: a scope came first, and jemalloc takes no callback back",
                ByteSize::bytes(bytes),
                ByteSize::bytes(wanted_bytes)
            ),
            "install the manager before the first scope, or set PLIMSOLL_METER_INTERVAL",
        )),
        _ => None,
    }
}

fn reactions(shared: &Shared) -> Option<Finding> {
    let reactions = shared.config.reactions;
    let (code, message) = match (reactions.cleanup, reactions.brake) {
        (true, true) => return None,
        (false, _) => (
            "automatic-cleanup-off",
            "automatic cleanups are turned off, and the brake with them: under pressure nothing happens that is not asked for",
        ),
        (true, false) => (
            "brake-off",
            "the brake is turned off: a program that fills memory at gigabytes per second is killed before a cleanup runs",
        ),
    };
    Some(Finding::new(
        code,
        Severity::Info,
        message,
        "turn it on again with PLIMSOLL_AUTOMATIC_CLEANUP or PLIMSOLL_BRAKE, or in code, unless that is meant",
    ))
}

fn panic_strategy() -> Option<Finding> {
    cfg!(panic = "abort").then(|| {
        Finding::new(
            "panic-abort",
            Severity::Warning,
            "with panic = \"abort\" a cleanup hook that panics ends the process",
            "build with panic = \"unwind\", or make sure that no hook panics",
        )
    })
}

fn limits(shared: &Shared, usage: &Usage) -> Option<Finding> {
    if usage.binding.is_none() {
        return Some(Finding::new(
            "limit-unknown",
            Severity::Error,
            "no memory limit is known: there is no percentage and no High line",
            "set PLIMSOLL_MEMORY_LIMIT, or make /proc and the cgroup's files readable",
        ));
    }
    let set = shared.config.limit?;
    let found = usage
        .limit
        .bytes
        .filter(|&found| found < set.bytes && usage.limit.source != set.source)?;
    Some(Finding::new(
        "limit-above-cgroup",
        Severity::Warning,
        format!(
            "the limit of {} ({}) is above the {} of {}, which the kernel enforces",
            ByteSize::bytes(set.bytes),
            set.source,
            ByteSize::bytes(found),
            usage.limit.source
        ),
        "the lower one binds; lower yours, or raise the container's",
    ))
}

fn readings(shared: &Shared) -> Vec<Finding> {
    shared
        .gauge()
        .problems()
        .into_iter()
        .map(|problem| {
            Finding::new(
                "reading-failed",
                Severity::Error,
                problem,
                "what depends on it is unknown until it can be read again",
            )
        })
        .collect()
}

fn hooks(shared: &Shared) -> Vec<Finding> {
    shared
        .registry
        .entries()
        .iter()
        .filter_map(|entry| {
            let timeouts = entry.timeouts_total.load(Ordering::Relaxed);
            if timeouts == 0 {
                return None;
            }
            let stuck = entry.is_running();
            let state = if stuck { ", and has not returned" } else { "" };
            Some(Finding::new(
                "hook-late",
                if stuck { Severity::Error } else { Severity::Warning },
                format!("cleanup hook {:?} ran past its deadline {timeouts} times{state}", entry.name),
                "make it return by request.deadline; while it has not returned it is not called again",
            ))
        })
        .collect()
}

fn threads(shared: &Shared) -> Option<Finding> {
    (!shared.threads().has_worker()).then(|| {
        Finding::new(
            "no-worker",
            Severity::Error,
            "the worker's thread can't be started: slow facts grow old and requests are not answered",
            "raise the process's limit of threads",
        )
    })
}
