//! One manager per process: the first one stays, the second comes back with the place of the first.

mod support;

use plimsoll::{ByteSize, InstallError, MemoryManager, PeriodicCleanup, get_memory_manager};
use support::{assert_success, child, is_child, wait_until};

#[test]
fn the_second_install_gives_its_manager_back_and_names_the_first() {
    if !is_child() {
        let output =
            child("the_second_install_gives_its_manager_back_and_names_the_first").output();
        return assert_success(&output.unwrap());
    }
    let builder = MemoryManager::builder().limit(ByteSize::gib(1));
    let line = line!() + 1;
    let first = builder.install().unwrap();
    assert!(std::ptr::eq(first, get_memory_manager()));

    let second = MemoryManager::builder().limit(ByteSize::mib(100)).install();
    let Err(InstallError::AlreadyInUse {
        manager,
        first: place,
    }) = second
    else {
        panic!("{second:?}");
    };
    assert_eq!((place.file(), place.line()), (file!(), line));
    // It works, for whoever keeps it, and does not touch the installed one.
    assert_eq!(manager.usage().limit.bytes, Some(100 << 20));
    manager.force_cleanup();
    assert_eq!(manager.stats().cleanups_total, 1);
    drop(manager);
    assert_eq!(first.stats().cleanups_total, 0);
    assert_eq!(first.usage().limit.bytes, Some(1 << 30));

    let refused = MemoryManager::builder().limit(ByteSize::bytes(0)).install();
    assert!(matches!(refused, Err(InstallError::Build(_))));
}

#[test]
fn a_counter_that_was_first_is_named() {
    if !is_child() {
        let output = child("a_counter_that_was_first_is_named").output();
        return assert_success(&output.unwrap());
    }
    let line = line!() + 1;
    PeriodicCleanup::every(1).tick();
    let threads = || -> Vec<String> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .map(|name| name.trim().to_owned())
            .collect()
    };
    wait_until(
        "the ring's manager is installed, and its maker gone",
        || {
            let threads = threads();
            threads.contains(&"plimsoll-worker".to_owned())
                && !threads.contains(&"plimsoll-start".to_owned())
        },
    );
    match MemoryManager::builder().install() {
        Err(InstallError::AlreadyInUse { first, .. }) => {
            assert_eq!((first.file(), first.line()), (file!(), line));
        }
        other => panic!("{other:?}"),
    }
}
