//! The installed manager, and memory that really is in use.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use plimsoll::{ByteSize, MemoryManager, PressureLevel};

use crate::support::wait_until;

const ROOM: ByteSize = ByteSize::mib(512);

/// Level, counters and sites are those of the process: one test at a time.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    falls();
    alone
}

pub fn manager() -> &'static MemoryManager {
    static MANAGER: OnceLock<&'static MemoryManager> = OnceLock::new();
    MANAGER.get_or_init(|| {
        let used_bytes = MemoryManager::builder().build().unwrap().usage().used_bytes;
        let limit = ByteSize::bytes(used_bytes + ROOM.as_u64());
        MemoryManager::builder().limit(limit).install().unwrap()
    })
}

/// Fills memory up to 88 % of the limit; the level is High when this returns, and stays so while the bytes are held.
pub fn rises() -> Vec<u8> {
    // Or pages that nobody uses count now, and are gone a moment later.
    manager().force_cleanup();
    let usage = manager().usage();
    let line_bytes = usage.limit.bytes.unwrap() * 88 / 100;
    let held = vec![1u8; (line_bytes - usage.used_bytes) as usize];
    wait_until("high", || manager().pressure() >= PressureLevel::High);
    held
}

pub fn falls() {
    wait_until("normal", || manager().pressure() == PressureLevel::Normal);
}

/// What the whole program holds; what threads keep for their next allocation is not held.
pub fn held_bytes() -> u64 {
    // Its look takes the figures anew.
    manager().check_and_cleanup();
    let heap = manager().usage().heap.unwrap();
    heap.allocated_bytes - heap.thread_cache_bytes
}

/// Waits until no more is held than `before`, but for what connections and threads may keep.
#[track_caller]
pub fn memory_is_back(before: u64) {
    const SLACK_BYTES: u64 = 512 << 10;
    wait_until("memory is back", || held_bytes() < before + SLACK_BYTES);
}
