//! Cleanup hooks: priorities, estimates, deadlines, and what the report makes of a hook that misbehaves.

use plimsoll::{ByteSize, ClaimedBytes, CleanupFn, CleanupHook, CleanupRequest, MemoryManager};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;

/// Gives back entry by entry, and stops when it has given enough or its time is up.
struct Entries(Mutex<Vec<Vec<u8>>>);

impl CleanupHook for Entries {
    fn cleanup(&self, request: &CleanupRequest) -> ClaimedBytes {
        let mut freed = 0;
        while freed < request.target_bytes && Instant::now() < request.deadline {
            let Some(entry) = self.0.lock().unwrap().pop() else {
                break;
            };
            freed += entry.len() as u64;
        }
        ClaimedBytes::bytes(freed)
    }

    fn name(&self) -> &str {
        "entries"
    }

    fn estimate(&self) -> Option<u64> {
        let entries = self.0.lock().unwrap();
        Some(entries.iter().map(|entry| entry.len() as u64).sum())
    }
}

fn main() -> Result<(), plimsoll::InstallError> {
    let manager = MemoryManager::builder()
        .limit(ByteSize::mib(512))
        .cleanup_deadline(Duration::from_secs(4))
        .install()?;

    let entries = Arc::new(Entries(Mutex::new(vec![vec![1; 64 << 10]; 1000])));
    let _first = manager.register_cleanup(Arc::clone(&entries));
    let _boastful =
        manager.register_cleanup(CleanupFn::new("boastful", |_| ByteSize::gib(1)).priority(5));
    let _broken = manager.register_cleanup(CleanupFn::new("broken", |_| -> u64 {
        panic!("out of order")
    }));
    let _hangs = manager.register_cleanup(CleanupFn::new("hangs", |_| {
        std::thread::sleep(Duration::from_secs(3600));
    }));

    println!("{}", manager.force_cleanup());
    for finding in manager.findings() {
        println!("{finding}");
    }
    Ok(())
}
