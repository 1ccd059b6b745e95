//! What metering costs, per size and allocator.

use plimsoll::ByteSize;

use crate::Allocator;

const KIB: u64 = 1 << 10;

/// One or two threads at once.
pub const THREADS: [u32; 2] = [1, 2];

/// The sizes that a short run measures.
const QUICK: &[u64] = &[64, KIB, 4 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB];

const SMALLEST: u64 = 16;
const LARGEST: u64 = KIB * KIB;

/// The sizes of the curve: every doubling, or a few of them.
pub fn sizes(quick: bool) -> Vec<ByteSize> {
    let bytes = if quick {
        QUICK.to_vec()
    } else {
        (SMALLEST.ilog2()..=LARGEST.ilog2())
            .map(|doublings| 1 << doublings)
            .collect()
    };
    bytes.into_iter().map(ByteSize::bytes).collect()
}

/// What may be paid in a scope: instructions per pair over those of bare jemalloc.
pub const PROMISED: &[(ByteSize, f64)] = &[
    (ByteSize::bytes(64), 1.01),
    (ByteSize::kib(1), 1.03),
    (ByteSize::kib(4), 1.07),
    (ByteSize::kib(16), 1.10),
    (ByteSize::kib(32), 1.15),
    (ByteSize::kib(64), 1.05),
    (ByteSize::kib(128), 1.05),
    (ByteSize::kib(256), 1.05),
    (ByteSize::kib(512), 1.05),
    (ByteSize::mib(1), 1.05),
];

/// 1 if the meter hears of allocations while they happen, 0 if scopes are only looked at from outside.
pub const METER_RUNS: &str = "the meter hears of allocations";

/// Instructions per pair.
pub fn instructions(allocator: Allocator, size: ByteSize) -> String {
    format!(
        "malloc and free of {size}, {}, instructions",
        allocator.name()
    )
}

/// Nanoseconds per pair and thread.
pub fn nanos(allocator: Allocator, size: ByteSize, threads: u32) -> String {
    format!(
        "malloc and free of {size}, {}, {threads} threads",
        allocator.name()
    )
}

/// The same over that of bare jemalloc next to it.
pub fn time_over_bare(allocator: Allocator, size: ByteSize, threads: u32) -> String {
    format!("{}, over bare", nanos(allocator, size, threads))
}
