//! The environment configures the manager that nobody configured in code, and a bad value is never silent.

mod support;

use plimsoll::{BuildError, LimitSource, MemoryManager, get_memory_manager};
use support::{assert_success, child, is_child};

#[test]
fn a_good_environment_is_in_force() {
    if !is_child() {
        let output = child("a_good_environment_is_in_force")
            .env("PLIMSOLL_MEMORY_LIMIT", "512m")
            .env("PLIMSOLL_MAX_MEMORY_PERCENT", "75")
            .env("PLIMSOLL_CLEANUP_THRESHOLD", "10MiB")
            .output();
        return assert_success(&output.unwrap());
    }
    let stats = get_memory_manager().stats();
    assert_eq!(stats.usage.limit.bytes, Some(512 << 20));
    assert_eq!(stats.usage.limit.source, LimitSource::Environment);
    assert_eq!(
        (stats.max_memory_percent, stats.cleanup_threshold_bytes),
        (75.0, 10 << 20)
    );
    assert!(stats.usage.to_string().contains("PLIMSOLL_MEMORY_LIMIT"));
}

#[test]
fn a_bad_environment_is_a_build_error_and_a_finding_of_the_manager_that_starts_all_the_same() {
    if !is_child() {
        let output = child("a_bad_environment_is_a_build_error_and_a_finding_of_the_manager_that_starts_all_the_same")
            .env("PLIMSOLL_MEMORY_LIMIT", "64MiB")
            .env("PLIMSOLL_MAX_MEMORY_PERCENT", "lots")
            .output()
            .unwrap();
        return assert_success(&output);
    }
    let error = MemoryManager::builder().build().unwrap_err();
    assert!(matches!(
        error,
        BuildError::Environment {
            variable: "PLIMSOLL_MAX_MEMORY_PERCENT",
            ..
        }
    ));

    let manager = get_memory_manager();
    let stats = manager.stats();
    assert_eq!(stats.max_memory_percent, 80.0, "the default");
    assert_eq!(
        stats.usage.limit.bytes,
        Some(64 << 20),
        "the good one is kept"
    );
    let finding = manager
        .findings()
        .into_iter()
        .find(|finding| finding.code == "environment-ignored")
        .unwrap();
    for part in [
        "PLIMSOLL_MAX_MEMORY_PERCENT",
        "lots",
        "above 0 and at most 100",
    ] {
        assert!(finding.message.contains(part), "{finding}");
    }
}

#[test]
fn of_variables_that_contradict_each_other_the_limit_is_kept() {
    if !is_child() {
        let output = child("of_variables_that_contradict_each_other_the_limit_is_kept")
            .env("PLIMSOLL_MEMORY_LIMIT", "64MiB")
            .env("PLIMSOLL_MAX_MEMORY_PERCENT", "50")
            .env("PLIMSOLL_CLEANUP_THRESHOLD", "65MiB")
            .output();
        return assert_success(&output.unwrap());
    }
    let error = MemoryManager::builder().build().unwrap_err();
    assert!(matches!(error, BuildError::ThresholdAboveLimit { .. }));
    let manager = get_memory_manager();
    let stats = manager.stats();
    assert_eq!(stats.cleanup_threshold_bytes, 100 << 20);
    assert_eq!(stats.usage.limit.bytes, Some(64 << 20));
    assert_eq!(stats.max_memory_percent, 50.0);
    assert!(
        manager
            .findings()
            .iter()
            .any(|finding| finding.message.contains("65.0 MiB"))
    );
}

#[test]
fn a_limit_above_host_memory_is_clamped_and_a_finding() {
    let manager = MemoryManager::builder()
        .limit(plimsoll::ByteSize::gib(1 << 20))
        .build()
        .unwrap();
    let usage = manager.usage();
    assert_eq!(usage.limit.bytes, usage.system_total_bytes);
    assert!(
        manager
            .findings()
            .iter()
            .any(|finding| finding.code == "limit-clamped")
    );
}
