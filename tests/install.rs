//! One manager per process: the first one stays, the second comes back with the place of the first.

use plimsoll::{ByteSize, InstallError, MemoryManager, get_memory_manager};

#[test]
fn the_second_install_gives_its_manager_back_and_names_the_first() {
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
