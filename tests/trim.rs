//! On glibc's heap: a cleanup gives back what is free between blocks in use, and says so.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use plimsoll::{CleanupReason, MemoryManager};

const BLOCK_BYTES: usize = 256;
const BLOCKS: usize = (64 << 20) / BLOCK_BYTES;
const ONE_KEPT_IN: usize = 1000;

#[test]
fn what_is_free_between_blocks_in_use_goes_back_to_the_kernel() {
    let manager = MemoryManager::builder().build().unwrap();
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(BLOCKS / ONE_KEPT_IN + 1);
    let mut freed: Vec<Vec<u8>> = Vec::with_capacity(BLOCKS);
    for number in 0..BLOCKS {
        let block = vec![1; BLOCK_BYTES];
        if number % ONE_KEPT_IN == ONE_KEPT_IN - 1 {
            kept.push(block);
        } else {
            freed.push(block);
        }
    }
    freed.clear();

    let report = manager.force_cleanup();
    assert_eq!(report.reason, Some(CleanupReason::Forced));
    assert!(report.trimmed && !report.purged, "{report}");
    assert!(report.returned_bytes() > 48 << 20, "{report}");
    assert!(kept.iter().flatten().all(|&byte| byte == 1));
}
