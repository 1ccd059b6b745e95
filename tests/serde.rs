//! Feature `serde`: everything that is reported can be sent somewhere.

#![cfg(feature = "jemalloc")]

use plimsoll::{ByteSize, CleanupFn, MemoryLimit, MemoryManager};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

#[test]
fn usage_stats_reports_and_findings_serialize() {
    let manager = MemoryManager::builder()
        .limit(ByteSize::mib(512))
        .build()
        .unwrap();
    let _hook = manager.register_cleanup(CleanupFn::new("cache", |_| 7u64));

    let usage = serde_json::to_value(manager.usage()).unwrap();
    assert_eq!(
        usage["limit"],
        json!({ "bytes": 512 << 20, "source": "builder" })
    );
    assert!(usage["rss_bytes"].as_u64().unwrap() > 0);
    assert!(usage["heap"]["active_bytes"].as_u64().unwrap() > 0);

    let report = serde_json::to_value(manager.force_cleanup()).unwrap();
    assert_eq!(
        (&report["outcome"], &report["reason"]),
        (&json!("cleaned"), &json!("forced"))
    );
    assert_eq!(report["hooks"][0]["claimed_bytes"], json!(7));

    let stats = serde_json::to_value(manager.stats()).unwrap();
    assert_eq!(
        (&stats["pressure"], &stats["cleanups_total"]),
        (&json!("normal"), &json!(1))
    );
    assert!(matches!(
        serde_json::to_value(manager.findings()).unwrap(),
        Value::Array(_)
    ));

    let scope = serde_json::to_value(MemoryLimit::mib(1).enter().finish()).unwrap();
    assert_eq!(scope["measured"], json!(true));
}
