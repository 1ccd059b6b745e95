//! How much physical memory this process has, exactly.

use std::fs;

const BYTES_PER_KIB: u64 = 1024;

/// This process's RSS, page by page. `statm` would be a thousand times faster, but kernels from 6.2 keep it in batches per
/// processor, and a batch is as large as some of what is measured here.
///
/// # Panics
/// When `/proc/self/smaps_rollup` can't be read.
pub fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux 4.14 or later");
    text.lines()
        .find_map(|line| line.strip_prefix("Rss:")?.strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .expect("a line `Rss: .. kB`")
        * BYTES_PER_KIB
}
