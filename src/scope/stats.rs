//! [`ScopeStats`]: what a site has used, as the ledger knows it.

use crate::scope::ledger::{self, Histogram, Line, Suggestion};
use crate::scope::site::{self, LimitCrossing, Site};

/// What the scopes of one site have used.
///
/// ```
/// use plimsoll::{MemoryLimit, Site, get_memory_manager};
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// static PARSE: Site = Site::new("parse");
/// for _ in 0..100 {
///     let _scope = MemoryLimit::mib(100).at(&PARSE).enter();
///     std::hint::black_box(vec![1u8; 1 << 20]);
/// }
/// let scopes = get_memory_manager().scopes();
/// let parse = scopes.iter().find(|scope| scope.name == "parse").unwrap();
/// assert_eq!(parse.calls_total, 100);
/// assert!(parse.peak_bytes >= 1 << 20);
/// println!("{}", parse.suggestion().unwrap()); // p99 of 100 calls is 1.1 MiB; suggest `#[memory_limit(2)]`
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ScopeStats {
    /// The site's name, or the file where it is; `other` for all that have no line of their own in the ledger.
    pub name: &'static str,
    /// The site; `None` for `other`.
    pub site: Option<&'static Site>,
    /// Scopes that have ended. A recursive entry is part of the outermost one's, a future is one from its first poll to its end.
    pub calls_total: u64,
    /// Scopes that passed their limit.
    pub exceeded_total: u64,
    /// Of those, how many under [`OnExceed::Shadow`](crate::OnExceed::Shadow): what the limit would have stopped.
    pub shadow_total: u64,
    /// What its open scopes hold, to about 256 KiB each; `None` for `other`, where nobody keeps it.
    pub current_bytes: Option<u64>,
    /// The most that one of its ended scopes held.
    pub peak_bytes: u64,
    /// When its limit was passed last.
    pub last_crossing: Option<LimitCrossing>,
    #[cfg_attr(feature = "serde", serde(skip))]
    peaks: Histogram,
}

impl ScopeStats {
    /// The peak that a share of `quantile` of the scopes stayed within, rounded up to the next eighth of an octave; `None` without
    /// scopes, or when there were more peaks than the ledger has room for.
    ///
    /// ```
    /// # use plimsoll::{MemoryLimit, Site, get_memory_manager};
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// drop(MemoryLimit::mib(1).named("quantile").enter());
    /// let scopes = get_memory_manager().scopes();
    /// let scope = scopes.iter().find(|scope| scope.name == "quantile").unwrap();
    /// assert!(scope.quantile_bytes(0.99).unwrap() <= 1024);
    /// ```
    pub fn quantile_bytes(&self, quantile: f64) -> Option<u64> {
        self.peaks.quantile_bytes(quantile)
    }

    /// A limit learned from what its scopes have used: p99 and 15 % more. `None` where [`quantile_bytes`](Self::quantile_bytes) is.
    ///
    /// ```
    /// for scope in plimsoll::get_memory_manager().scopes() {
    ///     if let Some(suggestion) = scope.suggestion() {
    ///         println!("{}: {suggestion}", scope.name);
    ///     }
    /// }
    /// ```
    pub fn suggestion(&self) -> Option<Suggestion> {
        self.peaks.suggestion()
    }

    fn of_site(site: &'static Site) -> Self {
        let totals = ledger::totals(site.line());
        ScopeStats {
            name: site.name(),
            site: Some(site),
            calls_total: totals.calls,
            exceeded_total: site.exceeded_total(),
            shadow_total: site.shadow_total(),
            current_bytes: Some(site.current_bytes()),
            peak_bytes: totals.peak_bytes,
            last_crossing: site.last_crossing(),
            peaks: totals.histogram,
        }
    }

    /// All sites that share the line `other`.
    fn of_others(sites: &[&'static Site]) -> Self {
        let totals = ledger::totals(Line::OTHER);
        ScopeStats {
            name: "other",
            site: None,
            calls_total: totals.calls,
            exceeded_total: sites.iter().map(|site| site.exceeded_total()).sum(),
            shadow_total: sites.iter().map(|site| site.shadow_total()).sum(),
            current_bytes: None,
            peak_bytes: totals.peak_bytes,
            last_crossing: sites
                .iter()
                .filter_map(|site| site.last_crossing())
                .min_by_key(|crossing| crossing.age),
            peaks: totals.histogram,
        }
    }
}

/// Every site that ever had a scope: first what holds most now, then what held most.
pub(crate) fn scope_stats() -> Vec<ScopeStats> {
    let (others, own): (Vec<_>, Vec<_>) =
        site::sites().partition(|site| site.line() == Line::OTHER);
    let mut stats: Vec<_> = own.into_iter().map(ScopeStats::of_site).collect();
    if !others.is_empty() {
        stats.push(ScopeStats::of_others(&others));
    }
    stats.sort_by_key(|scope| std::cmp::Reverse((scope.current_bytes, scope.peak_bytes)));
    stats
}
