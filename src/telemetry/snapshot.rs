//! [`Snapshot`]: what one scrape sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::explain::Finding;
use crate::manager::{ManagerStats, MemoryManager, Stalls};
use crate::scope::{ScopeStats, Site};
use crate::telemetry::bounded::{Labelled, bounded, merged};

/// However many ask: one is taken a second.
const SPACING: Duration = Duration::from_secs(1);
/// So many sites are of interest to who looks at the page.
const TOP_SITES: usize = 20;

/// Everything that the metrics are read from, of one moment.
///
/// Taken by [`MemoryManager::snapshot`], and shared by all who ask within the same second.
#[derive(Debug)]
pub struct Snapshot {
    taken: Instant,
    pub(super) stats: ManagerStats,
    pub(super) sites: Vec<SiteSample>,
    /// What holds or held most, whoever has a line among `sites`.
    pub(super) top_sites: Vec<SiteSample>,
    pub(super) hooks: Vec<HookSample>,
    pub(super) periodic: Vec<PeriodicSample>,
    pub(super) findings: Vec<Finding>,
    pub(super) stalls: Stalls,
    /// Requests that the layers refused, by reason; empty in a build without layers.
    pub(super) refused: Vec<(&'static str, u64)>,
}

/// What the scopes of one site have used. 50 sites have a line each, the rest is `other`: who has one keeps it, so that no counter falls,
/// and of those that came since the snapshot before the ones that held most come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SiteSample {
    /// The site's name, or file and line; control characters are replaced by their pictures. Sites of one name are one.
    pub site: String,
    /// The limit that was passed last; `None` as long as none was.
    pub limit_bytes: Option<u64>,
    /// What its open scopes hold.
    pub held_bytes: Option<u64>,
    /// The most that one of its scopes held: of those that have ended, and of the one that passed its limit last; `None` while there is none.
    pub peak_bytes: Option<u64>,
    /// Scopes that have ended.
    pub calls_total: u64,
    /// Scopes that passed their limit.
    pub exceeded_total: u64,
}

/// What one hook did and could do. 50 hooks have a line each and keep it as long as they are registered, the rest is `other`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HookSample {
    /// The hook's name; control characters are replaced by their pictures. Hooks of one name are one.
    pub hook: String,
    /// What it says it could give back now; a claim. While it is being called, what it said last, for 5 s. `None` where it does not say;
    /// of several hooks of one name only if all do.
    pub reclaimable_bytes: Option<u64>,
    /// How often it was called.
    pub calls_total: u64,
    /// What its calls were measured to free.
    pub freed_bytes_total: Option<u64>,
    /// Calls that panicked or ran past their deadline.
    pub failures_total: u64,
}

/// What one periodic site has counted. 50 have a line each and keep it, the rest is `other`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeriodicSample {
    /// The site's name, or file and line; control characters are replaced by their pictures.
    pub site: String,
    /// Calls counted.
    pub calls_total: u64,
}

impl MemoryManager {
    /// What the metrics are read from: at most a second old, and shared by all who ask within that second.
    ///
    /// Takes what is known as it is: what [`usage`](Self::usage) reads, and the cgroup's `memory.pressure`. Asks the hooks for their
    /// [estimates](crate::CleanupHook::estimate), on this thread and under no lock of the library; a panic in one is caught, and one
    /// that does not return holds up this caller alone: others get the snapshot before, and from the next second on a new one
    /// without that hook's. Goes through the figures of all sites beside that.
    ///
    /// ```
    /// let manager = plimsoll::get_memory_manager();
    /// let snapshot = manager.snapshot();
    /// println!("{} bytes, {:?} ago", snapshot.stats().usage.rss_bytes, snapshot.age());
    /// ```
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.kept().get(Instant::now(), SPACING, |before| {
            Snapshot::take(self, before.as_deref())
        })
    }
}

impl Snapshot {
    fn take(manager: &MemoryManager, before: Option<&Snapshot>) -> Snapshot {
        // User code, and perhaps slow: before what is to be of one moment.
        let estimates = manager.estimates();
        let mut snapshot = Snapshot::after(before, manager.stats(), estimates);
        let sites = merged(manager.scopes().iter().map(SiteSample::of));
        snapshot.top_sites = sites.iter().take(TOP_SITES).cloned().collect();
        snapshot.sites = bounded(sites, before.map_or(&[], |before| &before.sites));
        snapshot.findings = manager.findings_at(&snapshot.stats.usage);
        snapshot.stalls = manager.stalls();
        snapshot.refused = refused();
        snapshot
    }

    /// Without sites, findings, and what the kernel and the layers count.
    #[cfg(test)]
    pub(super) fn of(stats: ManagerStats, estimates: Vec<(String, Option<u64>)>) -> Snapshot {
        Self::after(None, stats, estimates)
    }

    fn after(
        before: Option<&Snapshot>,
        stats: ManagerStats,
        estimates: Vec<(String, Option<u64>)>,
    ) -> Snapshot {
        let hooks = merged(hook_samples(&stats, estimates));
        let hooks = bounded(hooks, before.map_or(&[], |before| &before.hooks));
        let periodic = merged(stats.periodic.iter().map(|site| PeriodicSample {
            site: site.name.clone(),
            calls_total: site.calls_total,
        }));
        let periodic = bounded(periodic, before.map_or(&[], |before| &before.periodic));
        Snapshot {
            taken: Instant::now(),
            stats,
            sites: Vec::new(),
            top_sites: Vec::new(),
            hooks,
            periodic,
            findings: Vec::new(),
            stalls: Stalls::default(),
            refused: Vec::new(),
        }
    }

    /// How long ago it was taken.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    /// What the manager said.
    pub fn stats(&self) -> &ManagerStats {
        &self.stats
    }

    /// How long at least one task of the own cgroup has waited for memory, in microseconds since the cgroup was made; `None` where
    /// the kernel does not say (it does in version 2).
    pub fn stalled_some_us_total(&self) -> Option<u64> {
        self.stalls.some_us
    }

    /// How long all tasks of the own cgroup that had something to do have waited for memory, likewise.
    pub fn stalled_full_us_total(&self) -> Option<u64> {
        self.stalls.full_us
    }

    /// The sites of scopes, the highest peak first, `other` last.
    pub fn sites(&self) -> &[SiteSample] {
        &self.sites
    }

    /// The hooks, the most called first, `other` last.
    pub fn hooks(&self) -> &[HookSample] {
        &self.hooks
    }

    /// The periodic sites, the most called first, `other` last.
    pub fn periodic(&self) -> &[PeriodicSample] {
        &self.periodic
    }

    /// What is wrong with the set-up, worst first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

#[cfg(feature = "tower")]
fn refused() -> Vec<(&'static str, u64)> {
    use crate::layers::{Refusal, refused_total};

    let reasons = Refusal::ALL.iter();
    reasons
        .map(|&reason| (reason.name(), refused_total(reason)))
        .collect()
}

#[cfg(not(feature = "tower"))]
fn refused() -> Vec<(&'static str, u64)> {
    Vec::new()
}

/// One for each name, with what the hooks of that name have done and what they say.
fn hook_samples(
    stats: &ManagerStats,
    estimates: Vec<(String, Option<u64>)>,
) -> impl Iterator<Item = HookSample> {
    let mut samples: BTreeMap<String, HookSample> = BTreeMap::new();
    for hook in &stats.hook_stats {
        let done = HookSample {
            hook: hook.name.clone(),
            reclaimable_bytes: None,
            calls_total: hook.calls_total,
            freed_bytes_total: hook.freed_bytes_total,
            failures_total: hook.failures_total,
        };
        match samples.get_mut(&hook.name) {
            Some(known) => known.absorb(done),
            None => drop(samples.insert(hook.name.clone(), done)),
        }
    }
    let mut claims: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for (hook, bytes) in estimates {
        let claim = claims.entry(hook).or_insert(Some(0));
        *claim = sum(*claim, bytes);
    }
    for (hook, reclaimable_bytes) in claims {
        let sample = samples.entry(hook.clone()).or_default();
        sample.hook = hook;
        sample.reclaimable_bytes = reclaimable_bytes;
    }
    samples.into_values()
}

impl SiteSample {
    fn of(scope: &ScopeStats) -> SiteSample {
        let ended = (scope.calls_total > 0).then_some(scope.peak_bytes);
        let crossed = scope.last_crossing.map(|crossing| crossing.used_bytes);
        SiteSample {
            site: scope.site.map_or(scope.name.to_owned(), Site::label),
            limit_bytes: scope.last_crossing.map(|crossing| crossing.limit_bytes),
            held_bytes: scope.current_bytes,
            // Unknown is less than 0.
            peak_bytes: ended.max(crossed),
            calls_total: scope.calls_total,
            exceeded_total: scope.exceeded_total,
        }
    }
}

/// The sum, unless one is unknown.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one?.saturating_add(other?))
}

/// The sum of those that are known.
fn sum_of_known(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other)
        .map(|(one, other)| one.saturating_add(other))
        .or(one)
        .or(other)
}

impl Labelled for SiteSample {
    fn label(&mut self) -> &mut String {
        &mut self.site
    }

    fn name(&self) -> &str {
        &self.site
    }

    /// What holds most now, or held most before.
    fn rank(&self) -> u64 {
        self.peak_bytes.max(self.held_bytes).unwrap_or(0)
    }

    fn absorb(&mut self, other: Self) {
        // Of two limits neither is the limit of both.
        self.limit_bytes = self
            .limit_bytes
            .filter(|&bytes| other.limit_bytes == Some(bytes));
        self.held_bytes = sum(self.held_bytes, other.held_bytes);
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
        self.calls_total += other.calls_total;
        self.exceeded_total += other.exceeded_total;
    }
}

impl Labelled for HookSample {
    fn label(&mut self) -> &mut String {
        &mut self.hook
    }

    fn name(&self) -> &str {
        &self.hook
    }

    fn rank(&self) -> u64 {
        self.calls_total
    }

    fn absorb(&mut self, other: Self) {
        self.reclaimable_bytes = sum(self.reclaimable_bytes, other.reclaimable_bytes);
        self.calls_total += other.calls_total;
        self.freed_bytes_total = sum_of_known(self.freed_bytes_total, other.freed_bytes_total);
        self.failures_total += other.failures_total;
    }
}

impl Labelled for PeriodicSample {
    fn label(&mut self) -> &mut String {
        &mut self.site
    }

    fn name(&self) -> &str {
        &self.site
    }

    fn rank(&self) -> u64 {
        self.calls_total
    }

    fn absorb(&mut self, other: Self) {
        self.calls_total += other.calls_total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanup::HookStats;

    #[test]
    fn sites_of_one_name_are_one_and_what_is_unknown_of_one_is_unknown_of_both() {
        let site = |limit_bytes, held_bytes, peak_bytes| SiteSample {
            site: "parse".to_owned(),
            limit_bytes,
            held_bytes,
            peak_bytes: Some(peak_bytes),
            calls_total: 2,
            exceeded_total: 1,
        };
        let table = [
            ((Some(5), Some(1)), (Some(5), Some(2)), (Some(5), Some(3))),
            ((Some(5), Some(1)), (Some(6), None), (None, None)),
            ((None, None), (Some(6), Some(2)), (None, None)),
        ];
        for ((limit, held), (other_limit, other_held), expected) in table {
            let merged = merged([site(limit, held, 30), site(other_limit, other_held, 20)]);
            let [merged] = &*merged else {
                panic!("{merged:?}");
            };
            assert_eq!((merged.limit_bytes, merged.held_bytes), expected);
            assert_eq!(merged.peak_bytes, Some(30));
            assert_eq!((merged.calls_total, merged.exceeded_total), (4, 2));
        }
    }

    #[test]
    fn a_claim_and_what_was_done_are_of_one_hook_and_unknown_is_not_zero() {
        let mut stats = MemoryManager::builder().build().unwrap().stats();
        let done = |name: &str, freed_bytes_total| HookStats {
            name: name.to_owned(),
            calls_total: 1,
            freed_bytes_total,
            failures_total: 0,
        };
        stats.hook_stats = vec![
            done("twin", Some(7)),
            done("twin", None),
            done("mute", None),
        ];
        let claim = |name: &str, bytes| (name.to_owned(), bytes);
        let told = |claims: &[(String, Option<u64>)]| -> Vec<_> {
            let samples = hook_samples(&stats, claims.to_vec());
            samples
                .map(|hook| {
                    (
                        hook.hook,
                        hook.reclaimable_bytes,
                        hook.freed_bytes_total,
                        hook.calls_total,
                    )
                })
                .collect()
        };
        let all = [
            claim("twin", Some(9)),
            claim("twin", Some(1)),
            claim("new", Some(4)),
            claim("mute", None),
        ];
        let row = |name: &str, claimed, freed, calls| (name.to_owned(), claimed, freed, calls);
        assert_eq!(
            told(&all),
            [
                row("mute", None, None, 1),
                row("new", Some(4), None, 0),
                row("twin", Some(10), Some(7), 2)
            ]
        );
        // What one of two says is not what both could free.
        let twin = told(&[claim("twin", Some(9)), claim("twin", None)]).pop();
        assert_eq!(twin, Some(row("twin", None, Some(7), 2)));
    }

    #[test]
    fn who_holds_most_now_comes_first_though_none_of_its_scopes_has_ended() {
        let site = |name: &str, held, peak, calls| SiteSample {
            site: name.to_owned(),
            held_bytes: Some(held),
            peak_bytes: peak,
            calls_total: calls,
            ..SiteSample::default()
        };
        let sites = merged([site("done", 0, Some(50), 9), site("runs", 60, None, 0)]);
        assert_eq!(sites[0].site, "runs");
        assert_eq!(sites[0].peak_bytes, None);
    }
}
