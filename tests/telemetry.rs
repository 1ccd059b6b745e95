//! Features `telemetry` and `prometheus`: the figures as a scraper sees them.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::telemetry::{metrics, prometheus};
use plimsoll::{
    ByteSize, ClaimedBytes, CleanupFn, CleanupHook, CleanupRequest, MemoryLimit, MemoryManager,
    PressureLevel, Site, get_memory_manager,
};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"\n\\\0{evil=\"1\"} 7 # HELP";
/// The same as the text must have it: no quote, line feed or backslash of its own, and a picture for the NUL.
const ESCAPED: &str = "<img src=x onerror=alert(1)>\\\"\\n\\\\\u{2400}{evil=\\\"1\\\"} 7 # HELP";

static PARSE: Site = Site::new("parse");
static HOSTILE_SITE: Site = Site::new(HOSTILE);

/// Sample by name and labels; what it says must be a number.
fn samples(text: &str) -> HashMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut samples = HashMap::new();
    for line in lines {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
        assert!(samples.insert(series, value).is_none(), "{series} twice");
    }
    samples
}

/// Frees what it was told to, claims more, and may panic.
struct Cache {
    name: &'static str,
    panics: bool,
}

impl CleanupHook for Cache {
    fn cleanup(&self, _: &CleanupRequest) -> ClaimedBytes {
        assert!(!self.panics, "as it was told");
        ClaimedBytes::bytes(1)
    }

    fn name(&self) -> &str {
        self.name
    }

    fn estimate(&self) -> Option<u64> {
        // Its own snapshot: neither a deadlock nor without end.
        let _ = get_memory_manager().snapshot();
        assert!(!self.panics, "as it was told");
        Some(123)
    }
}

#[test]
fn a_scrape_finds_what_happened() {
    if !support::alone("a_scrape_finds_what_happened", &[]) {
        return;
    }
    // Looking up a panic's place takes tens of megabytes: not what is to be measured here.
    std::panic::set_hook(Box::new(|_| {}));
    let builder = MemoryManager::builder().limit(ByteSize::gib(8));
    let manager = builder.automatic_cleanup(false).install().unwrap();
    let held = std::sync::Mutex::new(vec![1u8; 8 << 20]);
    let _frees = manager.register_cleanup(CleanupFn::new("frees", move |_| {
        drop(std::mem::take(&mut *held.lock().unwrap()));
    }));
    let _hostile = manager.register_cleanup(Cache {
        name: HOSTILE,
        panics: false,
    });
    let _panics = manager.register_cleanup(Cache {
        name: "panics",
        panics: true,
    });
    // A second one of the same name: two series of one name and labels would fail the whole scrape.
    let _twin = manager.register_cleanup(CleanupFn::new("panics", |_| ()));

    // An estimate that panics is nobody's panic.
    let before = manager.snapshot();
    let of_panics = before.hooks().iter().find(|hook| hook.hook == "panics");
    assert_eq!(of_panics.unwrap().reclaimable_bytes, None);
    assert_eq!(before.stats().cleanups_total, 0);

    for site in [&PARSE, &HOSTILE_SITE] {
        let scope = MemoryLimit::kib(64)
            .cleanup_on_exceed(false)
            .at(site)
            .enter();
        let kept = vec![1u8; 1 << 20];
        assert!(scope.check().is_err());
        drop(kept);
        let _ = scope.finish();
    }
    // Without a name: of all those of this file this one.
    let line = line!() + 1;
    drop(MemoryLimit::mib(1).enter());
    let held = MemoryLimit::mib(100).at(&PARSE).enter();
    let report = manager.force_cleanup();
    assert_eq!(report.hooks.len(), 4, "{report}");

    // For a second it is the one from before.
    support::wait_until("a snapshot from after the cleanup", || {
        manager.snapshot().stats().cleanups_total == 1
    });
    let snapshot = manager.snapshot();
    let mut text = String::new();
    prometheus::render(&snapshot, &mut text);
    let samples = samples(&text);
    let sample = |series: &str| {
        let value = samples.get(format!("plimsoll_{series}").as_str());
        *value.unwrap_or_else(|| panic!("no {series} in\n{text}"))
    };
    assert_eq!(sample("cleanups_total"), 1.0);
    assert_eq!(
        sample("cleanup_returned_bytes_total"),
        report.returned_bytes().max(0) as f64
    );
    assert_eq!(
        sample("last_cleanup_returned_bytes"),
        report.returned_bytes() as f64
    );
    assert_eq!(
        sample("cleanup_cpu_seconds_total"),
        report.cpu_us as f64 / 1e6
    );
    assert_eq!(sample("cleanups_futile_total"), 0.0, "{report}");
    assert!(sample("hook_freed_bytes_total{hook=\"frees\"}") >= (8 << 20) as f64);
    assert_eq!(sample("hook_calls_total{hook=\"frees\"}"), 1.0);
    assert_eq!(sample("hook_failures_total{hook=\"frees\"}"), 0.0);
    assert_eq!(sample("hook_calls_total{hook=\"panics\"}"), 2.0);
    assert_eq!(sample("hook_failures_total{hook=\"panics\"}"), 1.0);
    assert!(!samples.contains_key("plimsoll_reclaimable_bytes{hook=\"panics\"}"));
    assert!(!samples.contains_key("plimsoll_reclaimable_bytes{hook=\"frees\"}"));
    assert_eq!(
        sample(&format!("reclaimable_bytes{{hook=\"{ESCAPED}\"}}")),
        123.0
    );

    assert_eq!(
        sample(&format!("hook_failures_total{{hook=\"{ESCAPED}\"}}")),
        0.0
    );
    for site in ["parse", ESCAPED] {
        let of = |name: &str| sample(&format!("{name}{{site=\"{site}\"}}"));
        assert_eq!(of("scope_calls_total"), 1.0);
        assert_eq!(of("scope_exceeded_total"), 1.0);
        assert_eq!(of("scope_limit_bytes"), (64 << 10) as f64);
        assert!(of("scope_peak_bytes") >= (1 << 20) as f64);
    }
    assert_eq!(
        sample("limit_bytes{source=\"set in code\"}"),
        (8u64 << 30) as f64
    );
    let place = format!("{}:{line}:", file!());
    let is_there =
        |series: &&str| series.starts_with(&format!("plimsoll_scope_calls_total{{site=\"{place}"));
    assert!(samples.keys().any(is_there), "{place}\n{text}");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(sample(&format!("build_info{{version=\"{version}\"}}")), 1.0);
    assert_eq!(
        sample("findings{code=\"automatic-cleanup-off\",severity=\"info\"}"),
        1.0
    );
    assert_eq!(sample("level_begins_ratio{level=\"high\"}"), 0.8);
    assert_eq!(sample("pressure_level"), PressureLevel::Normal as u8 as f64);
    let ratio = sample("used_ratio");
    assert!(ratio > 0.0 && ratio < 1.0, "{ratio}");
    assert!(sample("heap_active_bytes") > 0.0 && sample("resident_bytes") > 0.0);
    assert!(sample("reading_age_seconds") >= 0.0);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    drop(held);

    // What is announced is what there is, and nothing of it is announced twice.
    let known: Vec<_> = metrics().map(|metric| metric.name()).collect();
    let announced: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').unwrap().0)
        .collect();
    assert!(announced.iter().all(|name| known.contains(name)));
    let in_order = known.iter().filter(|name| announced.contains(name));
    assert!(in_order.eq(announced.iter()), "{announced:?}");

    if let Some(path) = std::env::var_os("PLIMSOLL_TEST_EXPOSITION") {
        std::fs::write(path, &text).unwrap();
    }
}

#[test]
fn all_who_ask_within_a_second_share_a_snapshot_and_the_next_is_new() {
    let manager = MemoryManager::builder().build().unwrap();
    // Two in a row are one, unless a second has passed between them, as on a machine that stands still.
    support::wait_until("two askers within a second", || {
        Arc::ptr_eq(&manager.snapshot(), &manager.snapshot())
    });
    let first = manager.snapshot();
    let other = MemoryManager::builder().build().unwrap();
    assert!(!Arc::ptr_eq(&first, &other.snapshot()), "one per manager");
    support::wait_until("the next second", || {
        !Arc::ptr_eq(&first, &manager.snapshot())
    });
    let mut text = String::from("before\n");
    prometheus::render(&first, &mut text);
    assert!(text.starts_with("before\n# HELP plimsoll_used_bytes "));
}

#[test]
fn however_many_scrape_the_heap_is_read_anew_by_the_worker_alone() {
    if !support::alone(
        "however_many_scrape_the_heap_is_read_anew_by_the_worker_alone",
        &[],
    ) {
        return;
    }
    let manager = get_memory_manager();
    let epoch = || tikv_jemalloc_ctl::epoch::mib().unwrap().read().unwrap();
    let texts = manager.prometheus().len();
    assert!(texts > 0);
    let (start, epoch_before) = (Instant::now(), epoch());
    let looks_before = manager.stats().looks_total;
    let mut scrapes = 0;
    while start.elapsed() < Duration::from_millis(2500) {
        manager.prometheus();
        scrapes += 1;
    }
    let epochs = epoch() - epoch_before;
    // One may be under way.
    let looks = manager.stats().looks_total - looks_before + 1;
    assert!(scrapes > 10 * looks, "{scrapes} scrapes, {looks} looks");
    assert!(epochs <= looks, "{epochs} epochs, {looks} looks");
}
