//! However many sites a program has, the library keeps a bounded number of records.

#![cfg(feature = "jemalloc")]

use plimsoll::{MemoryLimit, Site, get_memory_manager};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

#[test]
fn more_names_than_records_share_one_called_other() {
    let names: Vec<&'static str> = (0..20_000).map(|n| &*format!("site {n}").leak()).collect();
    for name in names {
        let scope = MemoryLimit::kib(1).named(name).enter();
        let kept = vec![1u8; 4096];
        let site = scope.check().unwrap_err().site;
        assert!(site.name() == name || site.name() == "other");
        drop(kept);
    }
    let last = MemoryLimit::kib(1)
        .named("one too many".to_owned().leak())
        .enter();
    let kept = vec![1u8; 4096];
    assert_eq!(last.check().unwrap_err().site.name(), "other");
    drop(kept);
}

#[test]
fn a_million_sites_of_ones_own_share_the_ledgers_last_line() {
    const SITES: usize = 1_000_000;
    let sites: &'static [Site] = Box::leak((0..SITES).map(|_| Site::new("mine")).collect());
    for site in sites {
        let scope = MemoryLimit::kib(1).at(site).enter();
        drop(scope);
    }
    let scopes = get_memory_manager().scopes();
    assert!(scopes.len() <= 4096, "{}", scopes.len());
    let other = scopes.iter().find(|scope| scope.name == "other").unwrap();
    let others = other.calls_total;
    assert!(others >= (SITES - 4096) as u64, "{others}");
    let scope = MemoryLimit::kib(1).at(&sites[SITES - 1]).enter();
    let kept = vec![1u8; 4096];
    assert_eq!(
        scope.check().unwrap_err().site.name(),
        "mine",
        "errors name the site itself"
    );
    drop(kept);
}
