//! However many sites a program has, the library keeps a bounded number of records.

#![cfg(feature = "jemalloc")]

use plimsoll::MemoryLimit;

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
