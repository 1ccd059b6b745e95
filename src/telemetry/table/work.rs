//! What cleanups, hooks, scopes and layers did.

use crate::explain::Finding;
use crate::telemetry::metric::Metric;
use crate::telemetry::metric::Read::{Each, One};
use crate::telemetry::metric::Unit::{Bytes, Number, Seconds};

pub(super) static WORK: &[Metric] = &[
    Metric::counter(
        "plimsoll_cleanups_total",
        Number,
        "Cleanups that ran.",
        One(|s| Some(s.stats.cleanups_total.into())),
    ),
    Metric::counter(
        "plimsoll_cleanups_futile_total",
        Number,
        "Cleanups with hooks that gave back too little for their target and for their cost.",
        One(|s| Some(s.stats.cleanups_futile_total.into())),
    ),
    Metric::counter(
        "plimsoll_cleanup_returned_bytes_total",
        Bytes,
        "What the kernel got back in cleanups.",
        One(|s| Some(s.stats.cleanup_returned_bytes_total.into())),
    ),
    Metric::counter(
        "plimsoll_cleanup_cpu_seconds_total",
        Seconds,
        "Processor time of cleanups.",
        One(|s| Some((s.stats.cleanup_cpu_us_total as f64 / 1e6).into())),
    ),
    Metric::gauge(
        "plimsoll_last_cleanup_returned_bytes",
        Bytes,
        "What the kernel got back in the last cleanup; negative when the process grew meanwhile. Absent before the first.",
        One(|s| {
            let report = s.stats.last_cleanup.as_ref()?;
            Some((report.returned_bytes() as f64).into())
        }),
    ),
    Metric::gauge(
        "plimsoll_cleanup_growth_threshold_bytes",
        Bytes,
        "Growth of resident memory since the last cleanup after which the next is due.",
        One(|s| Some(s.stats.cleanup_threshold_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_resident_at_last_cleanup_bytes",
        Bytes,
        "Resident memory after the last cleanup, or at the start.",
        One(|s| Some(s.stats.rss_at_last_cleanup_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_churn_bytes",
        Bytes,
        "Pages that the program frees and takes again at once: cleanups leave room for so much.",
        One(|s| Some(s.stats.churn_bytes.into())),
    ),
    Metric::gauge(
        "plimsoll_decay_hastened",
        Number,
        "1 while the allocator gives freed pages back sooner, because pressure has lasted; else 0.",
        One(|s| Some(s.stats.decay_hastened.into())),
    ),
    Metric::gauge(
        "plimsoll_reclaimable_bytes",
        Bytes,
        "What a hook says it could give back now: a claim. Absent where it does not say.",
        Each(&["hook"], |s, visit| {
            for hook in &s.hooks {
                if let Some(bytes) = hook.reclaimable_bytes {
                    visit(&[&hook.hook], bytes.into());
                }
            }
        }),
    ),
    Metric::counter(
        "plimsoll_hook_calls_total",
        Number,
        "Calls of a hook.",
        Each(&["hook"], |s, visit| {
            for hook in &s.hooks {
                visit(&[&hook.hook], hook.calls_total.into());
            }
        }),
    ),
    Metric::counter(
        "plimsoll_hook_freed_bytes_total",
        Bytes,
        "What the calls of a hook were measured to free. Absent where nothing was measured.",
        Each(&["hook"], |s, visit| {
            for hook in &s.hooks {
                if let Some(bytes) = hook.freed_bytes_total {
                    visit(&[&hook.hook], bytes.into());
                }
            }
        }),
    ),
    Metric::counter(
        "plimsoll_hook_failures_total",
        Number,
        "Calls of a hook that panicked or ran past their deadline.",
        Each(&["hook"], |s, visit| {
            for hook in &s.hooks {
                visit(&[&hook.hook], hook.failures_total.into());
            }
        }),
    ),
    Metric::gauge(
        "plimsoll_scope_limit_bytes",
        Bytes,
        "The limit that a scope of the site passed last. Absent as long as none did.",
        Each(&["site"], |s, visit| {
            for site in &s.sites {
                if let Some(bytes) = site.limit_bytes {
                    visit(&[&site.site], bytes.into());
                }
            }
        }),
    ),
    Metric::gauge(
        "plimsoll_scope_held_bytes",
        Bytes,
        "What the open scopes of a site hold.",
        Each(&["site"], |s, visit| {
            for site in &s.sites {
                if let Some(bytes) = site.held_bytes {
                    visit(&[&site.site], bytes.into());
                }
            }
        }),
    ),
    Metric::gauge(
        "plimsoll_scope_peak_bytes",
        Bytes,
        "The most that one scope of a site held: of those that have ended, and of the one that passed its limit last. Absent while there is none.",
        Each(&["site"], |s, visit| {
            for site in &s.sites {
                if let Some(bytes) = site.peak_bytes {
                    visit(&[&site.site], bytes.into());
                }
            }
        }),
    ),
    Metric::counter(
        "plimsoll_scope_calls_total",
        Number,
        "Scopes of a site that have ended.",
        Each(&["site"], |s, visit| {
            for site in &s.sites {
                visit(&[&site.site], site.calls_total.into());
            }
        }),
    ),
    Metric::counter(
        "plimsoll_scope_exceeded_total",
        Number,
        "Scopes of a site that passed their limit.",
        Each(&["site"], |s, visit| {
            for site in &s.sites {
                visit(&[&site.site], site.exceeded_total.into());
            }
        }),
    ),
    Metric::counter(
        "plimsoll_requests_refused_total",
        Number,
        "Requests that were not served: memory was short (shed), or they held more than they may (exceeded). Absent in a build without layers.",
        Each(&["reason"], |s, visit| {
            for &(reason, total) in &s.refused {
                visit(&[reason], total.into());
            }
        }),
    ),
    Metric::counter(
        "plimsoll_periodic_calls_total",
        Number,
        "Calls of a periodic site: whole rounds of live threads, and everything of threads that have ended.",
        Each(&["site"], |s, visit| {
            for site in &s.periodic {
                visit(&[&site.site], site.calls_total.into());
            }
        }),
    ),
    Metric::gauge(
        "plimsoll_findings",
        Number,
        "How many findings of a code there are: what is wrong with this set-up.",
        Each(&["code", "severity"], |s, visit| {
            for (position, finding) in s.findings.iter().enumerate() {
                let is_same = |other: &&Finding| {
                    (other.code, other.severity) == (finding.code, finding.severity)
                };
                if s.findings[..position].iter().any(|other| is_same(&other)) {
                    continue;
                }
                let count = s.findings.iter().filter(is_same).count() as u64;
                visit(&[finding.code, &finding.severity.to_string()], count.into());
            }
        }),
    ),
    Metric::gauge(
        "plimsoll_build_info",
        Number,
        "1, and the version of the library.",
        Each(&["version"], |_, visit| {
            visit(&[env!("CARGO_PKG_VERSION")], 1u64.into())
        }),
    ),
];
